package io.heatkv.eval.chart;

import java.awt.Color;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import org.knowm.xchart.HeatMapChart;
import org.knowm.xchart.HeatMapChartBuilder;
import org.knowm.xchart.style.HeatMapStyler;

/** One panel: a cell for each head of each layer, or the scale of colours itself. */
final class HeadPanel {
  /** Of heads that aren't coloured: what is behind the cells. */
  static final Color DROPPED = new Color(0xd4, 0xd4, 0xd4);

  /** Of heads of sink scales. */
  static final Color SINK = new Color(0x8f, 0xb8, 0xde);

  /** From little attention to much; like viridis, told apart also by colour-blind eyes. */
  private static final Color[] HEAT = {
    new Color(0xfd, 0xe7, 0x25),
    new Color(0x7a, 0xd1, 0x51),
    new Color(0x22, 0xa8, 0x84),
    new Color(0x2a, 0x78, 0x8e),
    new Color(0x41, 0x44, 0x87),
    new Color(0x44, 0x01, 0x54)
  };

  private static final Color INK = new Color(0x30, 0x30, 0x30);
  private static final Color FRAME = new Color(0x90, 0x90, 0x90);

  /** Pixels around the scale of colours. */
  static final int BAR_PADDING = 18;

  private static final int MOST_LABELS = 8;
  // The library can't lay out a text of no letter.
  private static final String UNLABELLED = " ";

  private HeadPanel() {}

  /** Value of a cell in the units of the colour scale. */
  @FunctionalInterface
  interface Cell {
    /** The value, or NaN for a cell that shows what is behind. */
    double value(int layer, int head);
  }

  /**
   * Heads over layers.
   *
   * @param behind colour of cells without a value
   * @param most value of the last colour
   */
  static HeatMapChart of(
      String title, int layers, int heads, Cell cell, Color behind, double most) {
    List<Number[]> cells = new ArrayList<>();
    for (int layer = 0; layer < layers; layer++) {
      for (int head = 0; head < heads; head++) {
        double value = cell.value(layer, head);
        if (!Double.isNaN(value)) {
          // The chart counts rows from below.
          cells.add(new Number[] {layer, heads - 1 - head, value});
        }
      }
    }
    HeatMapChart chart = chart(title, "layer", "head");
    chart.getStyler().setPlotBackgroundColor(behind);
    add(chart, labels(layers), labels(heads).reversed(), cells, most);
    return chart;
  }

  /** The colours from 0 to {@code most} percent, over a described axis. */
  static HeatMapChart colours(String axis, int most) {
    int steps = most > 20 ? 4 : 10;
    List<Number[]> cells = new ArrayList<>();
    for (int i = 0; i <= steps * most; i++) {
      cells.add(new Number[] {i, 0, i / (double) steps});
    }
    HeatMapChart chart = chart("", axis, "");
    chart.getStyler().setYAxisTicksVisible(false);
    // Room for the outer labels, which would be left out.
    chart.getStyler().setChartPadding(BAR_PADDING);
    int labelled = steps * labelStep(most);
    List<String> labels =
        IntStream.rangeClosed(0, steps * most)
            .mapToObj(i -> i % labelled == 0 ? i / steps + " %" : UNLABELLED)
            .toList();
    add(chart, labels, List.of(UNLABELLED), cells, most);
    return chart;
  }

  /** Percents from one label of the colours to the next. */
  static int labelStep(int most) {
    return most > 20 ? 10 : most > 5 ? 5 : 1;
  }

  private static HeatMapChart chart(String title, String xAxis, String yAxis) {
    HeatMapChart chart =
        new HeatMapChartBuilder().title(title).xAxisTitle(xAxis).yAxisTitle(yAxis).build();
    HeatMapStyler style = chart.getStyler();
    style.setRangeColors(HEAT);
    style.setDrawBorder(true);
    style.setShowValue(false);
    style.setPlotContentSize(1);
    style.setLegendVisible(false);
    style.setChartBackgroundColor(Color.WHITE);
    style.setChartFontColor(INK);
    style.setChartPadding(4);
    style.setChartTitleBoxVisible(false);
    style.setChartTitlePadding(5);
    style.setChartTitleVisible(!title.isEmpty());
    style.setChartTitleFont(ChartText.font(13));
    style.setAxisTitleFont(ChartText.font(11));
    style.setAxisTitlePadding(6);
    style.setAxisTickLabelsFont(ChartText.font(9.5));
    style.setAxisTickLabelsColor(INK);
    style.setAxisTickPadding(3);
    style.setAxisTicksMarksVisible(false);
    style.setPlotMargin(0);
    style.setPlotBorderColor(FRAME);
    style.setPlotGridLinesVisible(false);
    return chart;
  }

  private static void add(
      HeatMapChart chart, List<String> x, List<String> y, List<Number[]> cells, double most) {
    // The library wants a cell, if only one of no place.
    List<Number[]> some =
        cells.isEmpty() ? Collections.singletonList(new Number[] {x.size(), 0, 0}) : cells;
    chart.addSeries("S-CAS", x, y, some).setMin(0).setMax(most);
  }

  /** Numbers of layers or heads, as many as can be read. */
  private static List<String> labels(int count) {
    int step = 1;
    while (count > step * MOST_LABELS) {
      step = step == 2 ? 5 : 2 * step;
    }
    int labelled = step;
    return IntStream.range(0, count)
        .mapToObj(i -> i % labelled == 0 ? String.valueOf(i) : UNLABELLED)
        .toList();
  }
}
