package io.heatkv.eval.report;

import io.heatkv.eval.run.CellSummary;
import io.heatkv.eval.run.Summary;
import io.heatkv.scale.ScaleGrids;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;

/**
 * A heat map: a row for each policy and budget, a column for each scale.
 *
 * @param summary of all cells
 * @param policies in the order of their colours
 * @param grids names the columns
 */
record ScaleTable(Summary summary, List<String> policies, ScaleGrids grids) {
  ScaleTable {
    policies = List.copyOf(policies);
  }

  /** Shares of equal bits: darker where fewer are equal; half of them are equal by chance. */
  String agreement() {
    return html(
        CellSummary::bits,
        share -> Math.clamp(2 * (1 - share), 0.0, 1.0),
        share -> Html.number(100 * share, 1));
  }

  /** Divergences, darker by order of magnitude. */
  String divergence() {
    double most =
        summary.cells().stream()
            .flatMap(cell -> cell.divergence().stream())
            .mapToDouble(value -> value)
            .max()
            .orElse(1);
    return html(
        CellSummary::divergence,
        value -> value <= 0 ? 0 : Math.clamp(1 + Math.log10(value / most) / 4, 0.0, 1.0),
        value ->
            value == 0
                ? "0"
                : value >= 0.001
                    ? Html.number(value, 4)
                    : String.format(Locale.ROOT, "%.0e", value).replace("e-0", "e−"));
  }

  private String html(
      Function<CellSummary, List<Double>> values,
      Function<Double, Double> heat,
      Function<Double, String> label) {
    StringBuilder html =
        new StringBuilder(
            "<div class=\"wide\"><table class=\"heat\">\n<thead><tr><th>policy</th><th>budget</th>");
    grids.scales().forEach(size -> html.append("<th>").append(size).append("</th>"));
    html.append("</tr></thead>\n");
    for (String policy : policies) {
      html.append("<tbody>");
      for (CellSummary cell : summary.cells()) {
        if (cell.policy().equals(policy)) {
          html.append(
              "<tr><td>%s %s</td><td>%s</td>"
                  .formatted(
                      Marks.key(policies.indexOf(policy)),
                      Html.escape(policy),
                      Html.percent(cell.ratio())));
          for (double value : values.apply(cell)) {
            html.append(
                "<td class=\"h\" style=\"--h:%s\">%s</td>"
                    .formatted(
                        String.format(Locale.ROOT, "%.3f", heat.apply(value)), label.apply(value)));
          }
          html.append("</tr>\n");
        }
      }
      html.append("</tbody>\n");
    }
    return html.append("</table></div>\n").toString();
  }
}
