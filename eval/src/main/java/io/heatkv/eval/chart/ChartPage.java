package io.heatkv.eval.chart;

import de.erichseifert.vectorgraphics2d.VectorGraphics2D;
import de.erichseifert.vectorgraphics2d.svg.SVGProcessor;
import de.erichseifert.vectorgraphics2d.util.PageSize;
import io.heatkv.image.PngImage;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.geom.AffineTransform;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.function.Consumer;
import org.knowm.xchart.internal.chartpart.Chart;

/**
 * Charts and lettering at their places.
 *
 * @param width pixels
 * @param height pixels
 * @param charts drawn first
 * @param lettering drawn over them
 */
record ChartPage(int width, int height, List<Placed> charts, Consumer<Graphics2D> lettering) {
  /** A chart and its rectangle, in pixels. */
  record Placed(Chart<?, ?> chart, int x, int y, int width, int height) {}

  ChartPage {
    charts = List.copyOf(charts);
  }

  /** The page as pixels. */
  PngImage png() {
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_3BYTE_BGR);
    Graphics2D graphics = image.createGraphics();
    try {
      graphics.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
      graphics.setRenderingHint(
          RenderingHints.KEY_STROKE_CONTROL, RenderingHints.VALUE_STROKE_PURE);
      paint(graphics);
    } finally {
      graphics.dispose();
    }
    return PngImage.of(image);
  }

  /** The page as the text of an SVG file. */
  String svg() {
    VectorGraphics2D graphics = new VectorGraphics2D();
    paint(graphics);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try {
      new SVGProcessor()
          .getDocument(graphics.getCommands(), new PageSize(0, 0, width, height))
          .writeTo(bytes);
    } catch (IOException e) {
      throw new UncheckedIOException("writing to memory can't fail", e);
    }
    return bytes.toString(StandardCharsets.UTF_8);
  }

  private void paint(Graphics2D graphics) {
    graphics.setColor(Color.WHITE);
    graphics.fillRect(0, 0, width, height);
    AffineTransform origin = graphics.getTransform();
    for (Placed placed : charts) {
      graphics.translate(placed.x(), placed.y());
      placed.chart().paint(graphics, placed.width(), placed.height());
      graphics.setTransform(origin);
    }
    lettering.accept(graphics);
  }
}
