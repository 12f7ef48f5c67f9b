package io.heatkv.eval.chart;

import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.geom.Rectangle2D;
import java.util.ArrayList;
import java.util.List;

/**
 * What stands above the panels: title, explanation and the legend of colours.
 *
 * @param title first line
 * @param lines further lines
 * @param most percent that the last colour stands for
 * @param swatches colours that stand for something else
 */
record HeatMapHeader(String title, List<String> lines, int most, List<Swatch> swatches) {
  static final int MARGIN = 24;

  private static final Color INK = new Color(0x20, 0x20, 0x20);
  private static final int TITLE = 26;
  private static final int LINE = 20;
  private static final int LEGEND = 92;
  private static final int BAR_WIDTH = 460;
  private static final int SWATCH = 16;

  /** A colour and what it means. */
  record Swatch(Color colour, String meaning) {}

  HeatMapHeader {
    lines = List.copyOf(lines);
    swatches = List.copyOf(swatches);
  }

  /** Pixels above the panels. */
  int height() {
    return legendTop() + LEGEND - HeadPanel.BAR_PADDING;
  }

  private int legendTop() {
    return MARGIN + TITLE + LINE * lines.size() + MARGIN / 2;
  }

  /**
   * The whole page.
   *
   * @param width of all panels together
   * @param height of all panels together
   * @param panels at their places
   */
  ChartPage page(int width, int height, List<ChartPage.Placed> panels) {
    List<ChartPage.Placed> charts = new ArrayList<>(panels);
    charts.add(
        new ChartPage.Placed(
            HeadPanel.colours("S-CAS: share of a later scale's attention", most),
            MARGIN - HeadPanel.BAR_PADDING,
            legendTop() - HeadPanel.BAR_PADDING,
            BAR_WIDTH,
            LEGEND));
    return new ChartPage(
        width + 2 * MARGIN,
        height() + height + MARGIN,
        charts,
        graphics -> letter(graphics, width));
  }

  private void letter(Graphics2D graphics, int width) {
    graphics.setColor(INK);
    double baseline = MARGIN + 18;
    ChartText.draw(graphics, title, ChartText.bold(20), MARGIN, baseline, width);
    baseline += TITLE;
    for (String line : lines) {
      ChartText.draw(graphics, line, ChartText.font(14), MARGIN, baseline, width);
      baseline += LINE;
    }
    int x = MARGIN + BAR_WIDTH + MARGIN;
    double y = legendTop() + 6;
    for (Swatch swatch : swatches) {
      Rectangle2D box = new Rectangle2D.Double(x, y, SWATCH, SWATCH);
      graphics.setColor(swatch.colour());
      graphics.fill(box);
      graphics.setColor(INK);
      ChartText.draw(
          graphics,
          swatch.meaning(),
          ChartText.font(13),
          x + SWATCH + 8.0,
          y + SWATCH - 3,
          width + MARGIN - x - SWATCH - 8.0);
      y += SWATCH + 10;
    }
  }
}
