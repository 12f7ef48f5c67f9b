package io.heatkv.scale;

import io.heatkv.error.UserException;

/**
 * Grid of one scale.
 *
 * @param height rows of tokens
 * @param width columns of tokens
 */
public record ScaleSize(int height, int width) {
  private static final int MAX_EDGE = 4096;

  /**
   * @throws UserException if an edge is not from 1 to 4096
   */
  public ScaleSize {
    if (height < 1 || width < 1 || height > MAX_EDGE || width > MAX_EDGE) {
      throw new UserException(
          "scale "
              + height
              + "x"
              + width
              + " is out of range; expected edges from 1 to "
              + MAX_EDGE);
    }
  }

  /** Tokens of the grid. */
  public int tokens() {
    return height * width;
  }

  /** Such as {@code 4x6}: rows, columns. */
  @Override
  public String toString() {
    return height + "x" + width;
  }
}
