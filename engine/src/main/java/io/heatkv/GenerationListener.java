package io.heatkv;

/** Follows a generation and may end it. */
public interface GenerationListener {
  /** Follows nothing. */
  GenerationListener NONE = new GenerationListener() {};

  /**
   * A scale is drawn.
   *
   * @param scale its index
   * @param count scales of the picture
   * @param generation for previews, tokens, or to cancel pictures
   */
  default void scaleDone(int scale, int count, Generation generation) {}

  /** Asked between scales; true ends the generation with a CancellationException. */
  default boolean isCancelled() {
    return false;
  }
}
