package io.heatkv.eval.run;

import io.heatkv.eval.Interval;
import io.heatkv.json.JsonFile;
import io.heatkv.json.JsonValue;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * An evaluation as tables: RFC 4180 with a header, and JSON.
 *
 * @param evaluation what was drawn
 * @param settings of it
 * @param summary of all batches
 */
public record Tables(Evaluation evaluation, EvaluationSettings settings, Summary summary) {
  private static final String END = "\r\n";

  /** A row for each picture, policy and budget; those of the full cache have no metrics. */
  public String pictures(List<BatchResult> batches) {
    StringBuilder csv = new StringBuilder();
    List<String> header =
        new ArrayList<>(
            List.of("prompt_number", "prompt", "seed", "policy", "budget", "budget_ratio"));
    header.addAll(List.of("kv_bytes", "kv_number_bytes", "kv_loss_bytes", "kv_table_bytes"));
    header.addAll(List.of("kv_current_scale_bytes", "kv_workspace_bytes", "transformer_ms"));
    List<MetricInfo> metrics = ofPictures(batches);
    metrics.forEach(metric -> header.add(metric.id()));
    for (int t = 0; t < evaluation.grids().count(); t++) {
      header.add("equal_bits_" + evaluation.grids().size(t));
    }
    row(csv, header);
    for (BatchResult batch : batches) {
      for (int i = 0; i < batch.count(); i++) {
        pictureRow(csv, metrics, batch.first() + i, i, batch.full(), 1);
        for (int c = 0; c < batch.cells().size(); c++) {
          double ratio = evaluation.cells().get(c).ratio();
          pictureRow(csv, metrics, batch.first() + i, i, batch.cells().get(c), ratio);
        }
      }
    }
    return csv.toString();
  }

  /** Those that have a number for each picture, and not for sets of them. */
  private List<MetricInfo> ofPictures(List<BatchResult> batches) {
    CellResult first = batches.getFirst().cells().getFirst();
    return summary.metrics().stream()
        .filter(metric -> first.values().containsKey(metric.id()))
        .toList();
  }

  private void pictureRow(
      StringBuilder csv,
      List<MetricInfo> metrics,
      int picture,
      int index,
      CellResult result,
      double ratio) {
    int prompt = evaluation.promptOf(picture);
    List<String> fields =
        new ArrayList<>(
            List.of(
                String.valueOf(prompt + 1),
                evaluation.prompts().get(prompt),
                String.valueOf(evaluation.seedOf(picture)),
                result.policy(),
                result.budget(),
                number(ratio)));
    result.kv().toJson().values().forEach(bytes -> fields.add(bytes.toString()));
    fields.add(number(result.millis()));
    for (MetricInfo metric : metrics) {
      List<Double> values = result.values().getOrDefault(metric.id(), List.of());
      fields.add(values.isEmpty() ? "" : number(values.get(index)));
    }
    for (int t = 0; t < evaluation.grids().count(); t++) {
      fields.add(result.bits().isEmpty() ? "" : number(result.bits().get(index).get(t)));
    }
    row(csv, fields);
  }

  /** A row for each policy and budget: means with the ends of their 95 % intervals. */
  public String summaryCsv() {
    StringBuilder csv = new StringBuilder();
    List<String> header =
        new ArrayList<>(
            List.of("policy", "budget", "budget_ratio", "kv_bytes", "kv_share", "prompts"));
    header.add("pictures");
    for (MetricInfo metric : summary.metrics()) {
      header.addAll(List.of(metric.id(), metric.id() + "_low", metric.id() + "_high"));
    }
    header.addAll(List.of("transformer_ms", "transformer_ms_low", "transformer_ms_high"));
    row(csv, header);
    for (CellSummary cell : summary.cells()) {
      List<String> fields =
          new ArrayList<>(
              List.of(
                  cell.policy(),
                  cell.budget(),
                  number(cell.ratio()),
                  String.valueOf(cell.kv().storage()),
                  number(cell.kv().storage() / (double) summary.fullBytes()),
                  String.valueOf(summary.prompts()),
                  String.valueOf(summary.pictures())));
      for (MetricInfo metric : summary.metrics()) {
        fields.addAll(interval(cell.metric(metric.id()).orElseThrow()));
      }
      fields.addAll(interval(cell.millis()));
      row(csv, fields);
    }
    return csv.toString();
  }

  private static List<String> interval(Interval interval) {
    return List.of(number(interval.mean()), number(interval.low()), number(interval.high()));
  }

  /** The same for programs, with the settings, what is absent, and matching budgets. */
  public String summaryJson() {
    return JsonFile.text(json -> JsonValue.write(json, toJson()));
  }

  /** Keys and values of {@link #summaryJson}. */
  public Map<String, Object> toJson() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("settings", settings.values());
    json.put("prompts", summary.prompts());
    json.put("pictures", summary.pictures());
    json.put("absent", evaluation.absent());
    Map<String, Object> full = new LinkedHashMap<>();
    full.put("kv_bytes", summary.fullBytes());
    full.put("transformer_ms", intervalJson(summary.fullMillis()));
    full.put("metrics", intervals(summary.fullMetrics()));
    json.put("full", full);
    json.put("cells", summary.cells().stream().map(this::cellJson).toList());
    json.put("matching_budgets", summary.matches().stream().map(Tables::matchJson).toList());
    return json;
  }

  private Map<String, Object> cellJson(CellSummary cell) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("policy", cell.policy());
    json.put("budget", cell.budget());
    json.put("budget_ratio", cell.ratio());
    json.putAll(cell.kv().toJson());
    json.put("kv_share", cell.kv().storage() / (double) summary.fullBytes());
    json.put("transformer_ms", intervalJson(cell.millis()));
    json.put("metrics", intervals(cell.metrics()));
    json.put("heatkv_lead", intervals(cell.lead()));
    json.put("equal_bits_by_scale", cell.bits());
    json.put("kl_by_scale", cell.divergence());
    return json;
  }

  private static Map<String, Object> intervals(Map<String, Interval> metrics) {
    Map<String, Object> json = new LinkedHashMap<>();
    metrics.forEach((id, interval) -> json.put(id, intervalJson(interval)));
    return json;
  }

  private static Map<String, Object> intervalJson(Interval interval) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("mean", interval.mean());
    json.put("low", interval.low());
    json.put("high", interval.high());
    return json;
  }

  /** Ratios outside those tried are null; the budgets tried are beside them. */
  private static Map<String, Object> matchJson(MatchingBudget match) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("policy", match.policy());
    json.put("ratio", match.ratio());
    json.put("low", match.low());
    json.put("high", match.high());
    json.put("least_tried", match.least());
    json.put("most_tried", match.most());
    json.put("text", match.toText());
    return json;
  }

  private static void row(StringBuilder csv, List<String> fields) {
    csv.append(String.join(",", fields.stream().map(Tables::field).toList())).append(END);
  }

  /** Quoted where a comma, quote or line end asks for it. */
  static String field(String text) {
    return text.matches("(?s).*[\",\\r\\n].*") ? '"' + text.replace("\"", "\"\"") + '"' : text;
  }

  /** Empty where there is no number. */
  private static String number(double value) {
    return !Double.isFinite(value)
        ? ""
        : value == Math.rint(value) && Math.abs(value) < 1e15
            ? String.format(Locale.ROOT, "%.0f", value)
            : String.valueOf(value);
  }
}
