package io.heatkv.eval.report;

import io.heatkv.eval.Interval;
import io.heatkv.eval.run.CellSummary;
import io.heatkv.eval.run.MatchingBudget;
import io.heatkv.eval.run.MetricInfo;
import io.heatkv.eval.run.Summary;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/**
 * The page's figures as Markdown, to be pasted: for each metric a row for each policy and a column
 * for each budget; the same of HeatKV's lead; matching budgets.
 *
 * @param summary of all cells
 */
record Markdown(Summary summary) {
  String text() {
    StringBuilder text = new StringBuilder();
    text.append(
        "%d prompts, %d pictures of each policy and budget; ± is half of the 95 %% interval over prompts.\n"
            .formatted(summary.prompts(), summary.pictures()));
    for (MetricInfo metric : summary.metrics()) {
      String unit = metric.unit().isEmpty() ? "" : " (" + metric.unit() + ")";
      String better = metric.direction() == MetricInfo.Direction.HIGHER ? "higher" : "lower";
      text.append("\n### %s%s, %s is better\n\n".formatted(metric.title(), unit, better));
      table(text, cell -> cell.metric(metric.id()), metric, "");
    }
    for (MetricInfo metric : summary.metrics()) {
      if (summary.cells().stream().anyMatch(cell -> cell.lead(metric.id()).isPresent())) {
        text.append("\n### HeatKV's lead in %s at the same budget\n\n".formatted(metric.title()));
        table(text, cell -> cell.lead(metric.id()), metric, "+");
      }
    }
    if (!summary.matches().isEmpty()) {
      text.append("\n### Budget at which a policy's PSNR equals HeatKV's at 10 %\n\n");
      text.append("| policy | budget |\n| --- | --- |\n");
      for (MatchingBudget match : summary.matches()) {
        text.append("| %s | %s |\n".formatted(match.policy(), match.toText()));
      }
    }
    return text.toString();
  }

  private void table(
      StringBuilder text,
      Function<CellSummary, Optional<Interval>> figure,
      MetricInfo metric,
      String plus) {
    List<Double> ratios = summary.ratios().reversed();
    text.append("| policy |");
    ratios.forEach(ratio -> text.append(" %s |".formatted(Html.percent(ratio))));
    text.append("\n| --- |").append(" --- |".repeat(ratios.size())).append('\n');
    for (String policy : summary.cells().stream().map(CellSummary::policy).distinct().toList()) {
      StringBuilder row = new StringBuilder("| " + policy + " |");
      boolean any = false;
      for (double ratio : ratios) {
        Optional<Interval> found = summary.cell(policy, ratio).flatMap(figure);
        any |= found.isPresent();
        row.append(
            " %s |".formatted(found.map(interval -> cell(metric, interval, plus)).orElse("–")));
      }
      if (any) {
        text.append(row).append('\n');
      }
    }
  }

  private static String cell(MetricInfo metric, Interval interval, String plus) {
    String mean = (interval.mean() > 0 ? plus : "") + Figures.number(metric, interval.mean());
    return interval.isBounded()
        ? mean + " ± " + Figures.number(metric, (interval.high() - interval.low()) / 2)
        : mean;
  }
}
