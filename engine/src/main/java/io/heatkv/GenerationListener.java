package io.heatkv;

import io.heatkv.image.PngImage;
import java.util.List;
import java.util.function.Supplier;

/** Follows a generation and may end it. */
public interface GenerationListener {
  /** Follows nothing. */
  GenerationListener NONE = new GenerationListener() {};

  /**
   * The bits of a scale are chosen; {@link #scaleDone} follows.
   *
   * @param scale its index
   * @param bits reads them when asked [images, tokens, bits], 0 or 1; valid during the call
   */
  default void bitsChosen(int scale, Supplier<byte[]> bits) {}

  /**
   * A scale is drawn.
   *
   * @param scale its index
   * @param count scales of the schedule
   * @param preview decodes the pictures so far when asked; valid during the call
   */
  default void scaleDone(int scale, int count, Supplier<List<PngImage>> preview) {}

  /** Asked between scales; true ends the generation with a CancellationException. */
  default boolean isCancelled() {
    return false;
  }
}
