package io.heatkv.eval;

import io.heatkv.GenerationListener;
import io.heatkv.GenerationRequest;
import io.heatkv.GenerationResult;
import io.heatkv.TextToImage;
import io.heatkv.image.PngImage;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;

/**
 * A generation with the bits that it chose.
 *
 * @param result pictures, times and bytes
 * @param bits of each scale [images, tokens, bits], 0 or 1
 */
public record Drawing(GenerationResult result, List<byte[]> bits) {
  /**
   * Draws a request and remembers its bits.
   *
   * @param listener follows the generation as well
   * @throws java.util.concurrent.CancellationException if the listener ended it
   * @throws io.heatkv.error.UserException if the request doesn't fit the model
   */
  public static Drawing of(
      TextToImage model, GenerationRequest request, GenerationListener listener) {
    List<byte[]> bits = new ArrayList<>();
    GenerationListener recorder =
        new GenerationListener() {
          @Override
          public void bitsChosen(int scale, Supplier<byte[]> chosen) {
            bits.add(chosen.get());
            listener.bitsChosen(scale, chosen);
          }

          @Override
          public void scaleDone(int scale, int count, Supplier<List<PngImage>> preview) {
            listener.scaleDone(scale, count, preview);
          }

          @Override
          public boolean isCancelled() {
            return listener.isCancelled();
          }
        };
    return new Drawing(model.generate(request, recorder), bits);
  }

  /** The first picture. */
  public PngImage picture() {
    return result.images().getFirst().pixels();
  }
}
