package io.heatkv.cli.options;

import io.heatkv.error.UserException;
import io.heatkv.eval.Ssim;
import io.heatkv.scale.ScaleGrids;

/**
 * Pixels of what a model draws.
 *
 * @param width of a picture
 * @param height of a picture
 */
public record PictureSize(int width, int height) {
  public static PictureSize of(ModelChoice choice, ScaleGrids grids) {
    long edge = choice.description().pixelsPerToken();
    return new PictureSize(
        Math.toIntExact(edge * grids.last().width()),
        Math.toIntExact(edge * grids.last().height()));
  }

  /**
   * @throws UserException if pictures of the size are too small to be compared
   */
  public void requireComparable() {
    if (Math.min(height, width) < Ssim.WINDOW) {
      throw new UserException(
          "pictures of %dx%d pixels are too small to compare; expected %d or more on each side"
              .formatted(width, height, Ssim.WINDOW));
    }
  }
}
