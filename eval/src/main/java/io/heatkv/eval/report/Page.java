package io.heatkv.eval.report;

import io.heatkv.eval.Interval;
import io.heatkv.eval.config.Preset;
import io.heatkv.eval.run.Evaluation;
import io.heatkv.eval.run.EvaluationFolder;
import io.heatkv.eval.run.EvaluationSettings;
import io.heatkv.eval.run.MatchingBudget;
import io.heatkv.eval.run.MetricInfo;
import io.heatkv.eval.run.Metrics;
import io.heatkv.eval.run.Summary;
import io.heatkv.image.Png;
import io.heatkv.image.PngImage;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * The page: one file without scripts that refers to nothing outside of itself.
 *
 * @param evaluation what was drawn
 * @param settings of it
 * @param preset title and published figures
 * @param folder where pictures lie
 * @param summary of all batches
 * @param illustrations sections with a picture
 * @param missing a line for each metric that wasn't measured
 */
record Page(
    Evaluation evaluation,
    EvaluationSettings settings,
    Preset preset,
    EvaluationFolder folder,
    Summary summary,
    List<Illustration> illustrations,
    List<String> missing) {
  Page {
    illustrations = List.copyOf(illustrations);
    missing = List.copyOf(missing);
  }

  /** Policies in the order of their colours: HeatKV first. */
  private List<String> policies() {
    return summary.cells().stream()
        .map(cell -> cell.policy())
        .distinct()
        .sorted((a, b) ->
            Boolean.compare(b.equals(MatchingBudget.REFERENCE), a.equals(MatchingBudget.REFERENCE)))
        .toList();
  }

  String html() {
    List<String> policies = policies();
    Map<String, String> sections = new LinkedHashMap<>();
    sections.put("Quality against memory", curves(policies));
    if (!summary.matches().isEmpty()) {
      sections.put("Which budget is as good as HeatKV's 10 %", matches(policies));
    }
    PictureGrid grid = new PictureGrid(evaluation, folder, policies);
    if (grid.prompts() > 0) {
      sections.put("Pictures", grid.html());
    }
    if (summary.cells().stream().anyMatch(cell -> !cell.lead().isEmpty())) {
      sections.put("HeatKV against each at the same budget", leads(policies));
    }
    sections.put("All figures", figures(policies));
    if (!preset.published().isEmpty()) {
      StringBuilder published = new StringBuilder();
      preset.published().forEach(one -> published.append(new PublishedTable(one, summary).html()));
      sections.put("Beside published figures", published.toString());
    }
    sections.put("Equal bits, scale by scale", bits(policies));
    for (Illustration illustration : illustrations) {
      sections.put(illustration.title(), illustrated(illustration));
    }
    sections.put("What is not here", absent());
    sections.put("Settings and versions", settingsTable());
    return page(sections);
  }

  private String title() {
    return preset.title().isEmpty()
        ? "KV-cache policies on " + settings.values().getOrDefault("model", "a model")
        : preset.title();
  }

  private String page(Map<String, String> sections) {
    StringBuilder html = new StringBuilder();
    html.append("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.append("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    html.append("<title>").append(Html.escape(title())).append("</title>\n<style>\n");
    html.append(css()).append("</style>\n</head>\n<body>\n<header>\n<h1>");
    html.append(Html.escape(title())).append("</h1>\n");
    html.append(
        "<p class=\"lead\">Model %s: %d prompts × %d seeds, drawn with the full KV cache and under %d combinations of policy and budget. Means over prompts; ± and bars are 95 %% confidence intervals, prompts being the independent samples.</p>\n"
            .formatted(
                Html.escape(settings.values().getOrDefault("model", "")),
                summary.prompts(),
                evaluation.seeds(),
                summary.cells().size()));
    html.append("<nav>\n");
    int number = 1;
    for (String section : sections.keySet()) {
      html.append("<a href=\"#s%d\">%s</a>\n".formatted(number++, Html.escape(section)));
    }
    html.append("</nav>\n</header>\n<main>\n");
    number = 1;
    for (Map.Entry<String, String> section : sections.entrySet()) {
      html.append(
          "<section id=\"s%d\">\n<h2>%s</h2>\n%s</section>\n"
              .formatted(number++, Html.escape(section.getKey()), section.getValue()));
    }
    return html.append("</main>\n</body>\n</html>\n").toString();
  }

  private String curves(List<String> policies) {
    StringBuilder html = new StringBuilder("<ul class=\"legend\">\n");
    for (int i = 0; i < policies.size(); i++) {
      html.append("<li>%s %s</li>\n".formatted(Marks.key(i), Html.escape(policies.get(i))));
    }
    html.append("</ul>\n<div class=\"charts\">\n");
    for (MetricInfo metric : summary.metrics()) {
      if (isFlat(metric)) {
        continue;
      }
      html.append(
          "<figure><figcaption>%s <small>%s is better; %s</small></figcaption>\n%s</figure>\n"
              .formatted(
                  Html.escape(metric.title()),
                  metric.direction() == MetricInfo.Direction.HIGHER ? "higher" : "lower",
                  Html.escape(metric.note()),
                  new CurveChart(summary, policies, metric).svg()));
    }
    return html.append("</div>\n").toString();
  }

  /** A curve of one value says no more than the table. */
  private boolean isFlat(MetricInfo metric) {
    return summary.cells().stream()
            .flatMap(cell -> cell.metric(metric.id()).stream())
            .mapToDouble(Interval::mean)
            .distinct()
            .count()
        < 2;
  }

  private String matches(List<String> policies) {
    StringBuilder html = new StringBuilder();
    html.append(
        "<p>The least budget from which on a policy's mean PSNR reaches that of HeatKV at 10 %, interpolated on the logarithm of the budget between those tried; 95 % interval by a bootstrap over prompts.</p>\n");
    html.append("<table><thead><tr><th>policy</th><th>budget</th></tr></thead><tbody>\n");
    for (MatchingBudget match : summary.matches()) {
      html.append(
          "<tr><td>%s %s</td><td>%s</td></tr>\n"
              .formatted(
                  Marks.key(policies.indexOf(match.policy())),
                  Html.escape(match.policy()),
                  Html.escape(match.toText())));
    }
    return html.append("</tbody></table>\n").toString();
  }

  private String leads(List<String> policies) {
    StringBuilder html = new StringBuilder();
    html.append(
        "<p>Mean difference of the same pictures with its 95 % interval: positive where HeatKV is nearer to the full cache. Bold where the interval leaves out zero; red where HeatKV is behind.</p>\n");
    for (MetricInfo metric : summary.metrics()) {
      if (metric.equals(Metrics.PSNR) || metric.equals(Metrics.KL)) {
        html.append("<h3>%s</h3>\n".formatted(Html.escape(metric.title())));
        html.append(new LeadTable(summary, policies, metric).html());
      }
    }
    return html.toString();
  }

  private String figures(List<String> policies) {
    String times =
        summary.processes() > 1
            ? " Times were taken while %d processes shared the device."
                .formatted(summary.processes())
            : "";
    return "<p>Bytes are measured on the cache's own storage, for one picture. Times are of the transformer, drawn %s at a time.%s The best mean of each budget is set in bold.</p>\n"
            .formatted(evaluation.batch() == 1 ? "one" : String.valueOf(evaluation.batch()), times)
        + new SummaryTable(summary, policies).html();
  }

  private String bits(List<String> policies) {
    ScaleTable table = new ScaleTable(summary, policies, evaluation.grids());
    String html =
        "<p>Percent of the bits of each scale that are equal to the full cache's. Each run draws its scales from its own earlier ones, so that differences spread; half of all bits would be equal by chance.</p>\n"
            + table.agreement();
    boolean measured = summary.cells().stream().noneMatch(cell -> cell.divergence().isEmpty());
    return measured
        ? html
            + "<h3>Divergence of bits under teacher forcing</h3>\n<p>Nats for a bit, when both caches see the full cache's earlier bits: what a policy loses at this scale alone.</p>\n"
            + table.divergence()
        : html;
  }

  private static String illustrated(Illustration illustration) {
    PngImage picture = illustration.picture();
    return "<p>%s</p>\n<img class=\"chart\" alt=\"%s\" width=\"%d\" height=\"%d\" src=\"data:image/png;base64,%s\">\n"
        .formatted(
            Html.escape(illustration.note()),
            Html.escape(illustration.title()),
            picture.width(),
            picture.height(),
            Base64.getEncoder().encodeToString(Png.encode(picture, List.of())));
  }

  private String absent() {
    StringBuilder html = new StringBuilder("<ul>\n");
    missing.forEach(line -> html.append("<li>").append(Html.escape(line)).append("</li>\n"));
    evaluation
        .absent()
        .forEach(line -> html.append("<li>").append(Html.escape(line)).append("</li>\n"));
    return html.append("</ul>\n").toString();
  }

  private String settingsTable() {
    StringBuilder html =
        new StringBuilder("<div class=\"wide\"><table class=\"settings\"><tbody>\n");
    settings
        .values()
        .forEach((key, value) ->
            html.append(
                "<tr><td>%s</td><td>%s</td></tr>\n"
                    .formatted(Html.escape(key.replace('_', ' ')), Html.escape(value))));
    return html.append("</tbody></table></div>\n").toString();
  }

  private static String css() {
    try (InputStream in = Objects.requireNonNull(Page.class.getResourceAsStream("report.css"))) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
