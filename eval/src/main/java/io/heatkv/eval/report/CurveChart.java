package io.heatkv.eval.report;

import io.heatkv.eval.Interval;
import io.heatkv.eval.run.CellSummary;
import io.heatkv.eval.run.MetricInfo;
import io.heatkv.eval.run.Summary;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;

/**
 * A metric against the budget, a curve for each policy, with 95 % intervals, as SVG.
 *
 * <p>Drawing here rather than by a plotting library: those measure letters with the machine's
 * fonts, which servers lack, and fix the colours, which here follow the reader's light or dark
 * mode.
 *
 * @param summary of all cells
 * @param policies in the order of their colours
 * @param metric to show
 */
record CurveChart(Summary summary, List<String> policies, MetricInfo metric) {
  private static final double WIDTH = 560;
  private static final double HEIGHT = 350;
  private static final double LEFT = 66;
  private static final double RIGHT = 12;
  private static final double TOP = 14;
  private static final double BOTTOM = 50;
  // Between the curves' points, so that their intervals don't hide each other.
  private static final double DODGE = 3.2;

  CurveChart {
    policies = List.copyOf(policies);
  }

  private record Scale(Axis x, Axis y) {
    double x(double ratio) {
      return LEFT + x.part(ratio) * (WIDTH - LEFT - RIGHT);
    }

    double y(double value) {
      double inside = Math.clamp(y.part(Math.clamp(value, y.low(), y.high())), 0.0, 1.0);
      return HEIGHT - BOTTOM - inside * (HEIGHT - TOP - BOTTOM);
    }
  }

  /** The figure. */
  String svg() {
    Scale scale = scale();
    StringBuilder svg = new StringBuilder();
    svg.append(
        "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%s\">\n"
            .formatted(
                WIDTH, HEIGHT, Html.escape(metric.title() + " against the budget, by policy")));
    axes(svg, scale);
    for (int i = policies.size() - 1; i >= 0; i--) {
      curve(svg, scale, i);
    }
    return svg.append("</svg>\n").toString();
  }

  private Scale scale() {
    List<Double> means =
        summary.cells().stream().map(cell -> interval(cell).mean()).sorted().toList();
    boolean ofOrders = metric.direction() == MetricInfo.Direction.LOWER;
    double span = means.getLast() - means.getFirst();
    // Intervals of few prompts are wider than all curves; bars then end at the edge. A lower end
    // below zero would leave the logarithmic axis.
    double least = ofOrders ? means.getFirst() / 2 : means.getFirst() - span;
    double most = ofOrders ? metric.most() : Math.min(means.getLast() + span, metric.most());
    List<Double> values = new ArrayList<>(means);
    for (CellSummary cell : summary.cells()) {
      Interval interval = interval(cell);
      if (interval.isBounded()) {
        values.add(Math.max(interval.low(), least));
        values.add(Math.min(interval.high(), most));
      }
    }
    return new Scale(
        Axis.budgets(summary.cells().stream().map(CellSummary::ratio).toList()),
        Axis.around(values, ofOrders));
  }

  private Interval interval(CellSummary cell) {
    return cell.metric(metric.id()).orElseThrow();
  }

  private void axes(StringBuilder svg, Scale scale) {
    for (double tick : scale.y().ticks()) {
      String y = Html.at(scale.y(tick));
      svg.append(
          "<line class=\"grid\" x1=\"%s\" x2=\"%s\" y1=\"%s\" y2=\"%s\"/>"
              .formatted(Html.at(LEFT), Html.at(WIDTH - RIGHT), y, y));
      svg.append(
          "<text class=\"tick\" x=\"%s\" y=\"%s\" dy=\".35em\" text-anchor=\"end\">%s</text>\n"
              .formatted(Html.at(LEFT - 8), y, tick(tick, scale.y())));
    }
    for (double tick : scale.x().ticks()) {
      String x = Html.at(scale.x(tick));
      svg.append(
          "<line class=\"grid\" x1=\"%s\" x2=\"%s\" y1=\"%s\" y2=\"%s\"/>"
              .formatted(x, x, Html.at(TOP), Html.at(HEIGHT - BOTTOM)));
      svg.append(
          "<text class=\"tick\" x=\"%s\" y=\"%s\" text-anchor=\"middle\">%s</text>\n"
              .formatted(x, Html.at(HEIGHT - BOTTOM + 18), Html.percent(tick)));
    }
    svg.append(
        "<text class=\"axis\" x=\"%s\" y=\"%s\" text-anchor=\"middle\">budget, share of the full cache</text>\n"
            .formatted(Html.at((LEFT + WIDTH - RIGHT) / 2), Html.at(HEIGHT - 8)));
    svg.append(
        "<text class=\"axis\" transform=\"translate(14 %s) rotate(-90)\" text-anchor=\"middle\">%s</text>\n"
            .formatted(
                Html.at((TOP + HEIGHT - BOTTOM) / 2),
                Html.escape(
                    metric.title() + (metric.unit().isEmpty() ? "" : ", " + metric.unit()))));
  }

  private static String tick(double value, Axis axis) {
    if (axis.logarithmic()) {
      return value >= 0.001 && value < 10_000
          ? trimmed(value)
          : String.format(Locale.ROOT, "%.0e", value).replace("e-0", "e−").replace("e-", "e−");
    }
    return trimmed(value);
  }

  private static String trimmed(double value) {
    String text = String.format(Locale.ROOT, "%.5f", value);
    return text.replaceAll("\\.?0+$", "").replace('-', '−');
  }

  private void curve(StringBuilder svg, Scale scale, int policy) {
    List<CellSummary> cells =
        summary.cells().stream()
            .filter(cell -> cell.policy().equals(policies.get(policy)))
            .sorted(Comparator.comparingDouble(CellSummary::ratio))
            .toList();
    double shift = (policy - (policies.size() - 1) / 2.0) * DODGE;
    StringBuilder line = new StringBuilder();
    svg.append("<g class=\"%s\">\n".formatted(Marks.style(policy)));
    for (CellSummary cell : cells) {
      Interval interval = interval(cell);
      String x = Html.at(scale.x(cell.ratio()) + shift);
      line.append(line.isEmpty() ? "M" : "L").append(x).append(' ');
      line.append(Html.at(scale.y(interval.mean())));
      if (interval.isBounded()) {
        svg.append(
            "<line class=\"bar\" x1=\"%s\" x2=\"%s\" y1=\"%s\" y2=\"%s\"/>\n"
                .formatted(
                    x, x, Html.at(scale.y(interval.low())), Html.at(scale.y(interval.high()))));
      }
    }
    svg.append("<path class=\"line\" d=\"%s\"/>\n".formatted(line));
    for (CellSummary cell : cells) {
      Interval interval = interval(cell);
      svg.append(
          "<path class=\"mark\" d=\"%s\"><title>%s</title></path>\n"
              .formatted(
                  Marks.at(policy, scale.x(cell.ratio()) + shift, scale.y(interval.mean())),
                  Html.escape(cell.label() + ": " + Figures.withInterval(metric, interval))));
    }
    svg.append("</g>\n");
  }
}
