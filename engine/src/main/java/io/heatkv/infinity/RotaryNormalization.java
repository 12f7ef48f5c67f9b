package io.heatkv.infinity;

import io.heatkv.error.UserException;

/** How grid positions of a scale become rotary positions (rope2d_normalized_by_hw). */
public enum RotaryNormalization {
  /** 0: positions are row and column of the scale's own grid. */
  NONE,
  /** 1: the table of the largest grid, resampled bilinearly with aligned corners. */
  RESAMPLED,
  /** 2: positions are spread over the template's largest grid and rounded. */
  ROUNDED;

  /**
   * The mode of the official code's number.
   *
   * @throws UserException if there is none
   */
  public static RotaryNormalization of(int number) {
    if (number < 0 || number > 2) {
      throw new UserException("rope2d_normalized_by_hw is " + number + "; expected 0, 1 or 2");
    }
    return values()[number];
  }
}
