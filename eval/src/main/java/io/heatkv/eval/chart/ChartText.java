package io.heatkv.eval.chart;

import io.heatkv.error.UserException;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.font.FontRenderContext;
import java.awt.font.TextLayout;
import java.awt.geom.AffineTransform;

/** Text beside charts, drawn as outlines so that a file looks the same on every machine. */
final class ChartText {
  private static final FontRenderContext CONTEXT = new FontRenderContext(null, true, true);

  private ChartText() {}

  /**
   * Makes sure that charts can be lettered.
   *
   * @throws UserException if Java finds no fonts
   */
  static void requireFonts() {
    try {
      width("a", font(10));
    } catch (RuntimeException | LinkageError | InternalError e) {
      // Depending on what is missing, Java says so by any of these.
      throw new UserException(
          "charts need fonts, and Java finds none on this machine; install fontconfig and a font,"
              + " such as the packages fontconfig and fonts-dejavu-core",
          e);
    }
  }

  static Font font(double size) {
    return new Font(Font.SANS_SERIF, Font.PLAIN, 1).deriveFont((float) size);
  }

  static Font bold(double size) {
    return font(size).deriveFont(Font.BOLD);
  }

  static double width(String text, Font font) {
    return new TextLayout(text, font, CONTEXT).getAdvance();
  }

  /** Draws a line in the colour of the graphics, smaller if it is wider than {@code most}. */
  static void draw(
      Graphics2D graphics, String text, Font font, double x, double baseline, double most) {
    double width = width(text, font);
    AffineTransform place = AffineTransform.getTranslateInstance(x, baseline);
    if (width > most) {
      place.scale(most / width, most / width);
    }
    graphics.fill(new TextLayout(text, font, CONTEXT).getOutline(place));
  }
}
