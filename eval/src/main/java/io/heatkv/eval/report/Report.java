package io.heatkv.eval.report;

import io.heatkv.eval.Interval;
import io.heatkv.eval.config.Preset;
import io.heatkv.eval.run.BatchResult;
import io.heatkv.eval.run.CellSummary;
import io.heatkv.eval.run.Evaluation;
import io.heatkv.eval.run.EvaluationFolder;
import io.heatkv.eval.run.EvaluationSettings;
import io.heatkv.eval.run.MatchingBudget;
import io.heatkv.eval.run.Metrics;
import io.heatkv.eval.run.Summary;
import io.heatkv.eval.run.Tables;
import io.heatkv.json.JsonFile;
import io.heatkv.tensor.Backend;
import java.util.ArrayList;
import java.util.List;

/**
 * Tables and page of a finished evaluation.
 *
 * @param tables CSV and JSON
 * @param batches results of all batches
 * @param page for eyes
 * @param folder into which all goes
 */
public record Report(
    Tables tables, List<BatchResult> batches, String page, EvaluationFolder folder) {
  public Report {
    batches = List.copyOf(batches);
  }

  /**
   * Sums up the batches that lie in a folder; all are done.
   *
   * @param preset title and published figures
   * @param illustrations sections of the page with a picture
   * @param backend computes distances of sets
   * @throws io.heatkv.error.UserException if a file can't be read
   */
  public static Report of(
      Evaluation evaluation,
      EvaluationSettings settings,
      EvaluationFolder folder,
      Preset preset,
      List<Illustration> illustrations,
      Backend backend) {
    List<BatchResult> batches = folder.results(evaluation.batches());
    Summary summary = Summary.of(evaluation, batches, backend);
    Tables tables = new Tables(evaluation, settings, summary);
    Page page =
        new Page(
            evaluation,
            settings,
            preset,
            folder,
            summary,
            illustrations,
            Metrics.missing(summary.metrics()));
    return new Report(tables, batches, page.html(), folder);
  }

  /**
   * Writes all files, the page last.
   *
   * @throws io.heatkv.error.UserException if one can't be written
   */
  public void write() {
    JsonFile.write(folder.file("results.csv"), tables.pictures(batches));
    JsonFile.write(folder.file("summary.csv"), tables.summaryCsv());
    JsonFile.write(folder.file("summary.json"), tables.summaryJson());
    JsonFile.write(folder.file("summary.md"), new Markdown(tables.summary()).text());
    JsonFile.write(folder.file(EvaluationFolder.PAGE), page);
  }

  /** The means for a terminal: a row for each policy, a column for each budget. */
  public String toText() {
    Summary summary = tables.summary();
    List<String> lines = new ArrayList<>();
    lines.add(folder.file(EvaluationFolder.PAGE).toString());
    lines.add(
        "PSNR in dB with 95 %% intervals, %d prompts, %d pictures each"
            .formatted(summary.prompts(), summary.pictures()));
    List<Double> ratios = summary.ratios().reversed();
    StringBuilder header = new StringBuilder("%-16s".formatted("budget"));
    ratios.forEach(ratio -> header.append("%17s".formatted(Html.percent(ratio))));
    lines.add(header.toString());
    for (String policy : summary.cells().stream().map(CellSummary::policy).distinct().toList()) {
      StringBuilder line = new StringBuilder("%-16s".formatted(policy));
      for (double ratio : ratios) {
        line.append(
            "%17s"
                .formatted(
                    summary
                        .cell(policy, ratio)
                        .flatMap(cell -> cell.metric(Metrics.PSNR.id()))
                        .map(Report::text)
                        .orElse("–")));
      }
      lines.add(line.toString());
    }
    for (MatchingBudget match : summary.matches()) {
      lines.add("as good as heatkv at 10 %%: %s: %s".formatted(match.policy(), match.toText()));
    }
    return String.join(System.lineSeparator(), lines);
  }

  private static String text(Interval interval) {
    String mean = Html.number(interval.mean(), 2);
    return interval.isBounded()
        ? mean + " ± " + Html.number((interval.high() - interval.low()) / 2, 2)
        : mean;
  }
}
