package io.heatkv.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.json.JsonObject;
import io.heatkv.profile.OrdersFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Schedules of the reference, from the authors' orders. */
class GoldenScheduleTest {
  static List<Path> schedules() {
    return Goldens.files("schedules", "infinity-.*_b[0-9.]+\\.json");
  }

  static List<Path> texts() {
    return Goldens.files("schedules", "infinity-.*\\.full\\.json\\.gz");
  }

  static List<Path> tiny() {
    return Goldens.files("tiny-a", "heat_.*\\.schedule\\.json");
  }

  private static PruningSchedule schedule(JsonObject golden) {
    int first = (int) golden.number("source_scale_start");
    int last = (int) golden.number("source_scale_end");
    int layers = golden.size("num_layers");
    int heads = golden.size("num_heads");
    Path orders = Goldens.file("orders-" + golden.text("model") + ".json");
    return PruningSchedule.of(
        new ScheduleShape(
            layers,
            heads,
            Goldens.ints(golden.list("scale_tokens")),
            (int) golden.number("protected_prefix_scales"),
            first,
            last),
        OrdersFile.read(orders, layers, heads, first, last),
        golden.number("budget"));
  }

  @ParameterizedTest
  @MethodSource("schedules")
  void countsTotalsAndHash(Path file) {
    JsonObject golden = JsonObject.read(file);
    PruningSchedule schedule = schedule(golden);
    int scales = schedule.shape().scales();
    int[] heads = Goldens.byScale(golden.object("pruned_heads_for_budget"));
    int[] removed = Goldens.byScale(golden.object("removed_counts_by_scale"));
    int[] finals = Goldens.byScale(golden.object("final_removed_counts"));
    int[] early = Goldens.byScale(golden.object("early_activated_counts"));
    for (int t = 0; t < scales; t++) {
      assertThat(schedule.removedHeads(t)).isEqualTo(heads[t]);
      assertThat(schedule.removedCount(t)).isEqualTo(removed[t]);
      assertThat(schedule.removedAt(t)).hasSize(removed[t]).isSorted();
      assertThat(schedule.finalRemoved(t)).hasSize(finals[t]).isSorted();
      int activated = 0;
      for (int l = 0; l < schedule.shape().layers(); l++) {
        activated += schedule.early(t, l).size();
      }
      assertThat(activated).isEqualTo(early[t]);
    }
    List<?> totals = golden.list("total_tokens_after_scale_layer");
    CachePlan plan = CachePlan.of(schedule);
    for (int t = 0; t < scales - 1; t++) {
      int[] perLayer = Goldens.ints((List<?>) totals.get(t));
      for (int l = 0; l < perLayer.length; l++) {
        assertThat(schedule.total(t, l)).isEqualTo(perLayer[l]);
        if (t >= schedule.shape().sinkScales()) {
          assertThat(plan.live(t, l)).isEqualTo(perLayer[l]);
        }
      }
    }
    assertThat(schedule.peakTokens()).isEqualTo((long) golden.number("peak_total_tokens"));
    assertThat(plan.capacity()).isEqualTo((int) golden.number("peak_total_tokens"));
    assertThat(schedule.peakRatio()).isEqualTo(golden.number("peak_ratio"));
    assertThat(schedule.thresholdTokens()).isEqualTo(golden.number("threshold_total_tokens"));
    assertThat(schedule.sha256()).isEqualTo(golden.text("sha256"));
  }

  /** The report names its numbers as the golden files do. */
  @ParameterizedTest
  @MethodSource("schedules")
  void report(Path file, @TempDir Path folder) throws IOException {
    JsonObject golden = JsonObject.read(file);
    ScheduleReport report = ScheduleReport.of(schedule(golden));
    Path written = Files.writeString(folder.resolve("report.json"), report.json());
    JsonObject json = JsonObject.read(written);
    assertThat(golden.values()).containsAllEntriesOf(json.values());
    assertThat(report.text())
        .contains(golden.text("sha256"))
        .contains("ratio " + golden.number("peak_ratio"));
  }

  @ParameterizedTest
  @MethodSource("texts")
  void canonicalText(Path file) throws IOException {
    Path numbers =
        file.resolveSibling(file.getFileName().toString().replace(".full.json.gz", ".json"));
    PruningSchedule schedule = schedule(JsonObject.read(numbers));
    try (GZIPInputStream in = new GZIPInputStream(Files.newInputStream(file))) {
      assertThat(schedule.canonicalJson())
          .isEqualTo(new String(in.readAllBytes(), StandardCharsets.US_ASCII));
    }
  }

  @ParameterizedTest
  @MethodSource("tiny")
  void tinyModel(Path file) {
    JsonObject golden = JsonObject.read(file);
    boolean square = file.getFileName().toString().startsWith("heat_1.0");
    int[] tokens =
        square ? new int[] {1, 4, 16, 36, 64, 144, 256} : new int[] {1, 4, 6, 24, 54, 150, 294};
    Path ordersFile = Goldens.file("tiny-a/tiny_orders.json");
    PruningSchedule schedule =
        PruningSchedule.of(
            new ScheduleShape(4, 4, tokens, 3, 3, 5),
            OrdersFile.read(ordersFile, 4, 4, 3, 5),
            golden.number("budget"));
    for (int t = 0; t < tokens.length; t++) {
      String key = String.valueOf(t);
      assertThat(schedule.removedAt(t))
          .isEqualTo(Goldens.atoms(golden.object("removed_at_target").list(key)));
      assertThat(schedule.finalRemoved(t))
          .isEqualTo(Goldens.atoms(golden.object("final_removed").list(key)));
      JsonObject early = golden.object("early").object(key);
      for (int l = 0; l < 4; l++) {
        String layer = String.valueOf(l);
        assertThat(schedule.early(t, l))
            .isEqualTo(early.has(layer) ? Goldens.atoms(early.list(layer)) : List.of());
      }
    }
    assertThat(Arrays.stream(tokens).sum()).isIn(521, 533);
  }
}
