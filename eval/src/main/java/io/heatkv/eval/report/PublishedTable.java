package io.heatkv.eval.report;

import io.heatkv.eval.config.Published;
import io.heatkv.eval.run.CellSummary;
import io.heatkv.eval.run.MatchingBudget;
import io.heatkv.eval.run.MetricInfo;
import io.heatkv.eval.run.Summary;
import io.heatkv.schedule.Budget;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
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
    for (Published.Row row : rows(ids)) {
      html.append(
          "<tr%s><td>%s</td><td>%s</td>"
              .formatted(
                  row.policy().equals(MatchingBudget.REFERENCE) ? " class=\"own\"" : "",
                  Html.escape(row.policy()),
                  Html.escape(row.budget())));
      for (String id : ids) {
        Double value = row.values().get(id);
        html.append(
            "<td>%s</td>".formatted(value == null ? "–" : Html.number(value, decimals(id))));
        html.append("<td>%s</td>".formatted(here(row, id)));
      }
      html.append("</tr>\n");
    }
    return html.append("</tbody></table></div>\n").toString();
  }

  /** The published ones, each budget followed by what was measured beside them. */
  private List<Published.Row> rows(Set<String> ids) {
    List<Published.Row> rows = new ArrayList<>();
    for (double ratio : published.rows().stream().map(this::ratio).distinct().toList()) {
      List<Published.Row> own =
          published.rows().stream().filter(row -> ratio(row) == ratio).toList();
      rows.addAll(own);
      for (CellSummary cell : summary.cells()) {
        if (cell.ratio() == ratio
            && own.stream().noneMatch(row -> row.policy().equals(cell.policy()))
            && ids.stream().anyMatch(id -> cell.metric(id).isPresent())) {
          rows.add(new Published.Row(cell.policy(), own.getFirst().budget(), Map.of()));
        }
      }
    }
    return rows;
  }

  private String here(Published.Row row, String id) {
    Optional<CellSummary> cell = summary.cell(row.policy(), ratio(row));
    Optional<MetricInfo> metric =
        summary.metrics().stream().filter(one -> one.id().equals(id)).findFirst();
    return cell.flatMap(found -> found.metric(id))
        .flatMap(interval -> metric.map(info -> Figures.html(info, interval)))
        .orElse("not measured");
  }

  private double ratio(Published.Row row) {
    return Budget.parse(row.budget()).ratio(summary.fullBytes());
  }

  /** As many as the figure of the column that has most, since a file loses zeros at the end. */
  private int decimals(String id) {
    return published.rows().stream()
        .map(row -> row.values().get(id))
        .filter(Objects::nonNull)
        .mapToInt(value -> BigDecimal.valueOf(value).stripTrailingZeros().scale())
        .reduce(0, Math::max);
  }
}
