package io.heatkv.eval.report;

import io.heatkv.eval.Interval;
import io.heatkv.eval.run.MatchingBudget;
import io.heatkv.eval.run.MetricInfo;
import io.heatkv.eval.run.Summary;
import java.util.List;

/**
 * HeatKV's lead over each policy, a column for each budget.
 *
 * @param summary of all cells
 * @param policies in the order of their colours
 * @param metric by which they are compared
 */
record LeadTable(Summary summary, List<String> policies, MetricInfo metric) {
  LeadTable {
    policies = List.copyOf(policies);
  }

  String html() {
    List<Double> ratios = summary.ratios().reversed();
    StringBuilder html =
        new StringBuilder("<div class=\"wide\"><table>\n<thead><tr><th>policy</th>");
    ratios.forEach(ratio -> html.append("<th>").append(Html.percent(ratio)).append("</th>"));
    html.append("</tr></thead>\n<tbody>\n");
    for (int i = 0; i < policies.size(); i++) {
      String policy = policies.get(i);
      if (!policy.equals(MatchingBudget.REFERENCE)) {
        html.append("<tr><td>%s %s</td>".formatted(Marks.key(i), Html.escape(policy)));
        for (double ratio : ratios) {
          html.append(
              summary
                  .cell(policy, ratio)
                  .flatMap(cell -> cell.lead(metric.id()))
                  .map(this::cell)
                  .orElse("<td>–</td>"));
        }
        html.append("</tr>\n");
      }
    }
    return html.append("</tbody></table></div>\n").toString();
  }

  private String cell(Interval lead) {
    String mark =
        !lead.excludesZero() ? "" : lead.mean() > 0 ? " class=\"best\"" : " class=\"behind\"";
    return "<td%s>%s%s</td>"
        .formatted(mark, lead.mean() > 0 ? "+" : "", Figures.html(metric, lead));
  }
}
