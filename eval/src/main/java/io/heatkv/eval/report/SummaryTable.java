package io.heatkv.eval.report;

import io.heatkv.eval.Interval;
import io.heatkv.eval.run.CellSummary;
import io.heatkv.eval.run.MetricInfo;
import io.heatkv.eval.run.Summary;
import java.util.List;
import java.util.Optional;

/**
 * All figures: budgets from large to small, policies within them, the best of each column marked.
 *
 * @param summary of all cells
 * @param policies in the order of their colours
 */
record SummaryTable(Summary summary, List<String> policies) {
  private static final MetricInfo MILLIS =
      new MetricInfo(
          "ms", "transformer", "ms", MetricInfo.Direction.LOWER, Double.POSITIVE_INFINITY, 1, "");

  SummaryTable {
    policies = List.copyOf(policies);
  }

  String html() {
    StringBuilder html =
        new StringBuilder("<div class=\"wide\"><table class=\"figures\">\n<thead><tr>");
    html.append("<th>policy</th><th>KV bytes</th><th>of full</th>");
    for (MetricInfo metric : summary.metrics()) {
      String arrow = metric.direction() == MetricInfo.Direction.HIGHER ? "↑" : "↓";
      html.append(
          "<th title=\"%s\">%s&nbsp;%s%s</th>"
              .formatted(
                  Html.escape(metric.note()),
                  Html.escape(metric.title()),
                  arrow,
                  metric.unit().isEmpty()
                      ? ""
                      : "<br><small>" + Html.escape(metric.unit()) + "</small>"));
    }
    html.append("<th>time<br><small>ms/picture</small></th></tr></thead>\n");
    html.append(
        "<tbody><tr class=\"full\"><td>full cache</td><td>%s</td><td>100 %%</td>"
            .formatted(Html.bytes(summary.fullBytes())));
    for (MetricInfo metric : summary.metrics()) {
      Interval own = summary.fullMetrics().get(metric.id());
      html.append("<td>%s</td>".formatted(own == null ? "–" : Figures.html(metric, own)));
    }
    html.append("<td>%s</td></tr></tbody>\n".formatted(Figures.html(MILLIS, summary.fullMillis())));
    for (double ratio : summary.ratios().reversed()) {
      group(html, ratio);
    }
    return html.append("</table></div>\n").toString();
  }

  private void group(StringBuilder html, double ratio) {
    List<CellSummary> cells =
        summary.cells().stream().filter(cell -> cell.ratio() == ratio).toList();
    html.append(
        "<tbody><tr class=\"group\"><th colspan=\"%d\">budget %s</th></tr>\n"
            .formatted(4 + summary.metrics().size(), Html.percent(ratio)));
    for (CellSummary cell : cells) {
      int policy = policies.indexOf(cell.policy());
      html.append(
          "<tr%s><td>%s %s</td><td>%s</td><td>%s</td>"
              .formatted(
                  cell.policy().equals("heatkv") ? " class=\"own\"" : "",
                  Marks.key(policy),
                  Html.escape(cell.policy()),
                  Html.bytes(cell.kv().storage()),
                  Html.percent(cell.kv().storage() / (double) summary.fullBytes())));
      for (MetricInfo metric : summary.metrics()) {
        Interval interval = cell.metric(metric.id()).orElseThrow();
        html.append(
            "<td%s>%s</td>"
                .formatted(
                    isBest(metric, interval, cells) ? " class=\"best\"" : "",
                    Figures.html(metric, interval)));
      }
      html.append("<td>%s</td></tr>\n".formatted(Figures.html(MILLIS, cell.millis())));
    }
    html.append("</tbody>\n");
  }

  private static boolean isBest(MetricInfo metric, Interval interval, List<CellSummary> cells) {
    List<Double> means =
        cells.stream()
            .map(cell -> cell.metric(metric.id()))
            .flatMap(Optional::stream)
            .map(Interval::mean)
            .toList();
    return means.stream().distinct().count() > 1
        && means.stream().allMatch(mean -> metric.atLeastAsGood(interval.mean(), mean));
  }
}
