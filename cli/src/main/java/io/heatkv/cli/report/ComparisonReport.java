package io.heatkv.cli.report;

import io.heatkv.GenerationRequest;
import io.heatkv.cli.console.Console;
import io.heatkv.cli.console.Sizes;
import io.heatkv.cli.options.ModelChoice;
import io.heatkv.eval.Drawing;
import io.heatkv.eval.Likeness;
import io.heatkv.eval.Sheet;
import io.heatkv.image.PngImage;
import io.heatkv.resource.Release;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * What {@code compare} found, for people, programs and eyes.
 *
 * @param choice the model and where it ran
 * @param libtorch version
 * @param request with the full cache
 * @param file with the sheet
 * @param rows the full cache first
 */
public record ComparisonReport(
    ModelChoice choice, String libtorch, GenerationRequest request, Path file, List<Row> rows) {
  /**
   * One picture.
   *
   * @param label such as {@code budget 0.1}
   * @param policy name of the policy
   * @param drawing of the request under its policy
   * @param kv bytes of its cache
   */
  public record Row(String label, String policy, Drawing drawing, KvUse kv) {}

  private Likeness likeness(Row row) {
    return Likeness.of(rows.getFirst().drawing(), row.drawing());
  }

  private List<Row> budgeted() {
    return rows.subList(1, rows.size());
  }

  public Map<String, Object> toJson() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("version", Release.version());
    json.put("file", file);
    json.put("prompt", request.pictures().getFirst().prompt());
    json.put("seed", request.pictures().getFirst().seed());
    json.put("model", choice.description().name());
    json.put("device", choice.device());
    json.put("dtype", choice.dtype());
    json.put("libtorch", libtorch);
    json.put("scales", request.grids());
    json.put("cfg", request.pictures().getFirst().sampling().cfg());
    json.put("tau", request.pictures().getFirst().sampling().tau());
    int topK = request.pictures().getFirst().sampling().topK();
    if (topK > 0) {
      json.put("top_k", topK);
    }
    json.put("top_p", request.pictures().getFirst().sampling().topP());
    Hardware.peakResident().ifPresent(bytes -> json.put("peak_resident_bytes", bytes));
    json.put("full", bytesAndTime(rows.getFirst()));
    List<Object> budgets = new ArrayList<>();
    for (Row row : budgeted()) {
      Map<String, Object> one = bytesAndTime(row);
      Likeness likeness = likeness(row);
      one.put("cache", row.policy());
      // Null for equal pictures, whose ratio is infinite.
      one.put("psnr", likeness.psnr());
      one.put("ssim", likeness.ssim());
      one.put("equal_bits", likeness.bits().overall());
      one.put("equal_bits_by_scale", likeness.bits().scales());
      budgets.add(one);
    }
    json.put("budgets", budgets);
    return json;
  }

  private static Map<String, Object> bytesAndTime(Row row) {
    Map<String, Object> json = new LinkedHashMap<>(row.kv().toJson());
    json.put("transformer_ms", row.drawing().result().timings().transformer());
    return json;
  }

  public String toText() {
    int width =
        Math.max(14, rows.stream().mapToInt(row -> row.label().length() + 1).max().orElse(0));
    String name = "%-" + width + "s";
    List<String> lines = new ArrayList<>();
    lines.add(file + " (seed " + request.pictures().getFirst().seed() + ")");
    lines.add(
        (name + " %10s %8s %8s %7s %10s")
            .formatted("", "KV cache", "of full", "PSNR dB", "SSIM", "equal bits"));
    lines.add(
        (name + " %10s %8s")
            .formatted(rows.getFirst().label(), size(rows.getFirst()), share(rows.getFirst())));
    for (Row row : budgeted()) {
      Likeness likeness = likeness(row);
      lines.add(
          String.format(
              Locale.ROOT,
              name + " %10s %8s %8s %7.4f %10s",
              row.label(),
              size(row),
              share(row),
              decibels(likeness.psnr()),
              likeness.ssim(),
              percent(likeness.bits().overall())));
    }
    lines.add("");
    lines.add("equal bits by scale, %");
    lines.add(
        " ".repeat(width)
            + request.grids().scales().stream()
                .map(size -> "%7s".formatted(size))
                .collect(Collectors.joining()));
    for (Row row : budgeted()) {
      lines.add(
          name.formatted(row.label())
              + likeness(row).bits().scales().stream()
                  .map(equal -> String.format(Locale.ROOT, "%7.1f", 100 * equal))
                  .collect(Collectors.joining()));
    }
    return String.join(System.lineSeparator(), lines);
  }

  /** All pictures with their captions. */
  public PngImage sheet() {
    List<Sheet.Tile> tiles = new ArrayList<>();
    tiles.add(
        new Sheet.Tile(
            rows.getFirst().drawing().pictures().getFirst(),
            rows.getFirst().label(),
            List.of("KV " + size(rows.getFirst()))));
    for (Row row : budgeted()) {
      Likeness likeness = likeness(row);
      tiles.add(
          new Sheet.Tile(
              row.drawing().pictures().getFirst(),
              row.label(),
              List.of(
                  "KV %s (%s)".formatted(size(row), share(row)),
                  "PSNR %s dB, SSIM %s"
                      .formatted(
                          decibels(likeness.psnr()),
                          String.format(Locale.ROOT, "%.3f", likeness.ssim())),
                  "equal bits " + percent(likeness.bits().overall()))));
    }
    String title =
        "%s · %s, seed %d"
            .formatted(
                request.pictures().getFirst().prompt(),
                choice.description().name(),
                request.pictures().getFirst().seed());
    return new Sheet(Console.oneLine(title), tiles).draw();
  }

  private static String size(Row row) {
    return Sizes.text(row.kv().arena());
  }

  private static String share(Row row) {
    return percent(row.kv().share());
  }

  private static String percent(double share) {
    return String.format(Locale.ROOT, "%.1f%%", 100 * share);
  }

  private static String decibels(double psnr) {
    return Double.isInfinite(psnr) ? "∞" : String.format(Locale.ROOT, "%.2f", psnr);
  }
}
