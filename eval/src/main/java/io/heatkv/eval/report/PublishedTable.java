package io.heatkv.eval.report;

import io.heatkv.eval.config.Published;
import io.heatkv.eval.run.CellSummary;
import io.heatkv.eval.run.MetricInfo;
import io.heatkv.eval.run.Summary;
import io.heatkv.schedule.Budget;
import java.util.LinkedHashSet;
import java.util.Optional;
import java.util.Set;

/**
 * Published figures beside those that were measured here.
 *
 * @param published of one source
 * @param summary of what was measured
 */
record PublishedTable(Published published, Summary summary) {
  String html() {
    Set<String> ids = new LinkedHashSet<>();
    published.rows().forEach(row -> ids.addAll(row.values().keySet()));
    StringBuilder html = new StringBuilder("<p>Published: ");
    html.append(Html.escape(published.source())).append(". ");
    html.append(Html.escape(published.note())).append("</p>\n");
    html.append(
        "<div class=\"wide\"><table class=\"figures\"><thead><tr><th>policy</th><th>budget</th>");
    for (String id : ids) {
      String title = MetricInfo.titleOf(summary.metrics(), id);
      html.append("<th>%s<br><small>published</small></th>".formatted(Html.escape(title)));
      html.append("<th>%s<br><small>here</small></th>".formatted(Html.escape(title)));
    }
    html.append("</tr></thead><tbody>\n");
    for (Published.Row row : published.rows()) {
      html.append(
          "<tr><td>%s</td><td>%s</td>"
              .formatted(Html.escape(row.policy()), Html.escape(row.budget())));
      for (String id : ids) {
        Double value = row.values().get(id);
        html.append("<td>%s</td>".formatted(value == null ? "–" : trimmed(value)));
        html.append("<td>%s</td>".formatted(here(row, id)));
      }
      html.append("</tr>\n");
    }
    return html.append("</tbody></table></div>\n").toString();
  }

  private String here(Published.Row row, String id) {
    Optional<CellSummary> cell = summary.cell(row.policy(), ratio(row.budget()));
    Optional<MetricInfo> metric =
        summary.metrics().stream().filter(one -> one.id().equals(id)).findFirst();
    return cell.flatMap(found -> found.metric(id))
        .flatMap(interval -> metric.map(info -> Figures.html(info, interval)))
        .orElse("not measured");
  }

  private double ratio(String budget) {
    return Budget.parse(budget).ratio(summary.fullBytes());
  }

  private static String trimmed(double value) {
    return value == Math.rint(value) ? Html.number(value, 0) : String.valueOf(value);
  }
}
