package io.heatkv.scale;

import io.heatkv.error.UserException;
import java.util.ArrayList;
import java.util.List;

/** Grids as users write them. */
public final class GridParser {
  private static final double MAX_ASPECT = 3;
  // 1:3 written as a decimal has few digits.
  private static final double SLACK = 1e-3;

  private GridParser() {}

  /**
   * Reads {@code 1M}, {@code 0.25M}, … (square) or a list {@code 1x1,2x2,4x4} of rows x columns.
   *
   * @throws UserException if it is neither
   */
  public static ScaleGrids parse(String text) {
    if (text.endsWith("M")) {
      return ScaleTemplate.nearest(1).grids(Resolution.parse(text));
    }
    List<ScaleSize> sizes = new ArrayList<>();
    for (String part : text.split(",", -1)) {
      String[] edges = part.strip().split("x", -1);
      if (edges.length != 2) {
        throw wrongScale(part);
      }
      try {
        sizes.add(new ScaleSize(Integer.parseInt(edges[0]), Integer.parseInt(edges[1])));
      } catch (NumberFormatException e) {
        throw wrongScale(part);
      }
    }
    return custom(sizes);
  }

  private static UserException wrongScale(String part) {
    return new UserException(
        "scale '"
            + part
            + "' is not ROWSxCOLUMNS; expected a list such as 1x1,2x2,4x4, or 0.06M,"
            + " 0.25M, 0.60M, 1M");
  }

  /** A list of grids; rotary positions refer to the nearest template of the last one's aspect. */
  public static ScaleGrids custom(List<ScaleSize> sizes) {
    if (sizes.isEmpty()) {
      throw new UserException("a list of grids is empty; expected at least one grid");
    }
    ScaleSize last = sizes.getLast();
    return ScaleTemplate.nearest((double) last.height() / last.width()).withRope(sizes);
  }

  /**
   * Height over width of an aspect ratio as users write it: {@code WIDTH:HEIGHT} or a decimal width
   * over height.
   *
   * @throws UserException if it can't be read or is not from 1:3 to 3:1
   */
  public static double parseAspect(String text) {
    double widthDivHeight;
    try {
      int colon = text.indexOf(':');
      widthDivHeight =
          colon < 0
              ? Double.parseDouble(text)
              : Double.parseDouble(text.substring(0, colon))
                  / Double.parseDouble(text.substring(colon + 1));
    } catch (NumberFormatException e) {
      throw new UserException(
          "aspect ratio '" + text + "' can't be read; expected WIDTH:HEIGHT such as 16:9", e);
    }
    if (!(widthDivHeight >= 1 / MAX_ASPECT - SLACK && widthDivHeight <= MAX_ASPECT + SLACK)) {
      throw new UserException("aspect ratio '" + text + "' is out of range; expected 1:3 to 3:1");
    }
    return 1 / widthDivHeight;
  }
}
