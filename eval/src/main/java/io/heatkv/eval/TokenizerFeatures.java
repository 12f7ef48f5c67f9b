package io.heatkv.eval;

import io.heatkv.family.NextScaleModel;
import io.heatkv.image.PngImage;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Features of pictures by the model's own image tokenizer, for a {@link FrechetDistance} where no
 * Inception network is at hand: what its encoder gives before quantisation (Han et al., "Infinity",
 * arXiv 2412.04431, section 3.1), averaged over all positions; as many dimensions as a code has
 * bits.
 *
 * <p>Not an FID, and not comparable with one: the encoder was trained to reconstruct pictures, not
 * to tell objects apart, so that the features are about colours and textures; the average drops
 * where things are; and other models have other encoders. It tells whether a policy's pictures, as
 * a set, drift from those of the full cache under the same model.
 */
public final class TokenizerFeatures {
  /** Bounds the encoder's memory. */
  private static final int PIXELS_AT_ONCE = 1 << 20;

  private TokenizerFeatures() {}

  /**
   * Features of each picture, in order.
   *
   * @param pictures of one size, whose edges are multiples of the tokenizer's stride
   * @throws io.heatkv.error.UserException if the tokenizer has no encoder
   * @throws IllegalArgumentException if the sizes differ
   */
  public static List<float[]> of(NextScaleModel model, List<PngImage> pictures) {
    List<float[]> features = new ArrayList<>();
    for (int start = 0; start < pictures.size(); ) {
      PngImage first = pictures.getFirst();
      int most = Math.max(1, PIXELS_AT_ONCE / (first.width() * first.height()));
      int end = Math.min(pictures.size(), start + most);
      try (Scope _ = Scope.open()) {
        Tensor encoded = model.encode(pixels(model.backend(), pictures.subList(start, end)));
        float[] means = Ops.mean(encoded, false, 2, 3).toFloats();
        int channels = means.length / (end - start);
        for (int i = 0; i < means.length; i += channels) {
          features.add(Arrays.copyOfRange(means, i, i + channels));
        }
      }
      start = end;
    }
    return features;
  }

  /** [pictures, 3, height, width] in [-1, 1]. */
  private static Tensor pixels(Backend backend, List<PngImage> pictures) {
    PngImage first = pictures.getFirst();
    List<Tensor> planes = new ArrayList<>();
    for (PngImage picture : pictures) {
      SameSize.check(first, picture);
      planes.add(Tensor.of(backend, Planes.of(picture), 1, 3, picture.height(), picture.width()));
    }
    return Ops.cat(0, planes);
  }
}
