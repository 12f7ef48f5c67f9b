package io.heatkv;

import io.heatkv.image.PngImage;
import java.util.List;
import java.util.function.Supplier;

/** Follows a generation and may end it. */
public interface GenerationListener {
  /** Follows nothing. */
  GenerationListener NONE = new GenerationListener() {};

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
