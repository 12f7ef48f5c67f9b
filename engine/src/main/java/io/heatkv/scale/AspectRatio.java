package io.heatkv.scale;

import io.heatkv.error.UserException;

/**
 * How wide and high pictures are.
 *
 * @param text as a user wrote it
 * @param heightDivWidth positive and finite
 */
public record AspectRatio(String text, double heightDivWidth) {
  /**
   * Reads {@code WIDTH:HEIGHT} or a decimal, width over height.
   *
   * @throws UserException if it is neither
   */
  public static AspectRatio parse(String text) {
    double heightDivWidth;
    try {
      int colon = text.indexOf(':');
      heightDivWidth =
          1
              / (colon < 0
                  ? Double.parseDouble(text)
                  : Double.parseDouble(text.substring(0, colon))
                      / Double.parseDouble(text.substring(colon + 1)));
    } catch (NumberFormatException e) {
      throw unreadable(text);
    }
    if (!(heightDivWidth > 0 && heightDivWidth < Double.POSITIVE_INFINITY)) {
      throw unreadable(text);
    }
    return new AspectRatio(text, heightDivWidth);
  }

  private static UserException unreadable(String text) {
    return new UserException(
        "aspect ratio '" + text + "' can't be read; expected WIDTH:HEIGHT such as 16:9");
  }

  @Override
  public String toString() {
    return text;
  }
}
