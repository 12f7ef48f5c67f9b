package io.heatkv.eval;

import java.awt.Graphics2D;
import java.awt.geom.AffineTransform;
import java.awt.geom.Path2D;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Scanner;

/**
 * Draws Latin letters from outlines that come along, since Java's own fonts need fonts and
 * fontconfig on the machine, which servers and containers often lack.
 */
final class Lettering {
  private static final double UNITS_PER_EM = 2048;
  private static final int UNKNOWN = '?';

  private record Glyph(double advance, Path2D outline) {}

  private final Map<Integer, Glyph> glyphs = new HashMap<>();

  /** Reads the outlines; see tools/make_glyphs.py for the form of the file. */
  Lettering() {
    try (BufferedReader lines =
        new BufferedReader(
            new InputStreamReader(
                Objects.requireNonNull(Lettering.class.getResourceAsStream("glyphs.txt")),
                StandardCharsets.US_ASCII))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        if (!line.startsWith("#")) {
          String[] fields = line.split(" ", 3);
          glyphs.put(
              Integer.parseInt(fields[0]),
              new Glyph(Integer.parseInt(fields[1]), outline(fields[2])));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Path2D outline(String text) {
    Path2D path = new Path2D.Double(Path2D.WIND_NON_ZERO);
    for (String step : text.split("(?=[MLQZ])")) {
      if (!step.isEmpty()) {
        Scanner numbers = new Scanner(step.substring(1));
        switch (step.charAt(0)) {
          case 'M' -> path.moveTo(numbers.nextInt(), -numbers.nextInt());
          case 'L' -> path.lineTo(numbers.nextInt(), -numbers.nextInt());
          case 'Q' ->
              path.quadTo(
                  numbers.nextInt(), -numbers.nextInt(), numbers.nextInt(), -numbers.nextInt());
          default -> path.closePath();
        }
      }
    }
    return path;
  }

  /** Whether the letter can be drawn; others show as a question mark. */
  boolean knows(int codePoint) {
    return glyphs.containsKey(codePoint);
  }

  private Glyph glyph(int codePoint) {
    Glyph found = glyphs.get(codePoint);
    return found != null ? found : Objects.requireNonNull(glyphs.get(UNKNOWN));
  }

  /** Pixels that a text takes. */
  double width(String text, double size) {
    return text.codePoints().mapToDouble(point -> glyph(point).advance).sum() * size / UNITS_PER_EM;
  }

  /** The text, or as much of its begin as fits with an ellipsis behind. */
  String fitting(String text, double size, double width) {
    if (width(text, size) <= width) {
      return text;
    }
    int[] points = text.codePoints().toArray();
    for (int kept = points.length - 1; kept > 0; kept--) {
      String shorter = new String(points, 0, kept).stripTrailing() + "…";
      if (width(shorter, size) <= width) {
        return shorter;
      }
    }
    return "…";
  }

  /**
   * Draws in the colour of the graphics.
   *
   * @param x left end
   * @param baseline on which letters stand
   * @param size of an em in pixels
   */
  void draw(Graphics2D graphics, String text, double x, double baseline, double size) {
    double at = x;
    for (int point : text.codePoints().toArray()) {
      Glyph glyph = glyph(point);
      AffineTransform place = AffineTransform.getTranslateInstance(at, baseline);
      place.scale(size / UNITS_PER_EM, size / UNITS_PER_EM);
      graphics.fill(place.createTransformedShape(glyph.outline));
      at += glyph.advance * size / UNITS_PER_EM;
    }
  }
}
