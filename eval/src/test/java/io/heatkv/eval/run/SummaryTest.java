package io.heatkv.eval.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvMemory;
import io.heatkv.cache.KvParts;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import java.lang.reflect.Proxy;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Batches of made-up numbers, summed up by hand. */
class SummaryTest {
  private static final Cell HEAT = new Cell("heatkv", "10%", 0.1, CachePolicy.FULL);
  private static final Cell OTHER = new Cell("h2o", "0.1", 0.1, CachePolicy.FULL);
  private static final Cell LARGER = new Cell("h2o", "0.2", 0.2, CachePolicy.FULL);

  /** Two prompts of two seeds, a batch for each; the first batch of the process is slow. */
  private static Summary summed(boolean firstIsSettled, boolean secondIsSettled) {
    Evaluation evaluation =
        new Evaluation(
            List.of("one", "two"),
            2,
            7,
            ScaleGrids.parse("1x1,2x2"),
            SamplingOptions.of(3, 1, 1),
            List.of(HEAT, OTHER, LARGER),
            List.of(),
            2,
            1);
    assertThat(evaluation.batches()).isEqualTo(2);
    assertThat(evaluation.promptOf(1)).isZero();
    assertThat(evaluation.promptOf(2)).isEqualTo(1);
    assertThat(evaluation.isKept(1)).isTrue();
    assertThat(evaluation.isKept(2)).isFalse();
    assertThat(evaluation.seedOf(3)).isEqualTo(10);
    BatchResult first =
        new BatchResult(
            0,
            2,
            firstIsSettled,
            3,
            full(1000, 90),
            List.of(
                result(HEAT, 100, 50, 0.2, 20, 22),
                result(OTHER, 90, 60, 0.3, 19, 23),
                result(LARGER, 200, 70, 0.1, 24, 26)));
    BatchResult second =
        new BatchResult(
            2,
            2,
            secondIsSettled,
            2,
            full(900, 30),
            List.of(
                result(HEAT, 80, 10, 0.4, 30, 30),
                result(OTHER, 95, 20, 0.1, 25, 27),
                result(LARGER, 150, 30, 0.3, 31, 33)));
    return Summary.of(evaluation, List.of(first, second), unused());
  }

  private static KvMemory memory(long bytes) {
    return new KvMemory(bytes, new KvParts(bytes / 5, 3, 4), 1, 1);
  }

  private static CellResult full(long bytes, double millis) {
    return new CellResult(
        "full", "", memory(bytes), millis, Map.of(), Map.of(), List.of(), List.of());
  }

  /** Similarity is lost where the noise is. */
  private static CellResult result(
      Cell cell, long bytes, double millis, double divergence, double a, double b) {
    return new CellResult(
        cell.policy(),
        cell.budget(),
        memory(bytes),
        millis,
        Map.of("psnr", List.of(a, b), "kl", List.of(divergence, divergence)),
        Map.of(),
        List.of(List.of(1.0, a / 100), List.of(0.5, b / 100)),
        List.of(List.of(divergence, 0.0), List.of(divergence, 1.0)));
  }

  private static Backend unused() {
    return (Backend)
        Proxy.newProxyInstance(
            SummaryTest.class.getClassLoader(),
            new Class<?>[] {Backend.class},
            (_, method, _) -> {
              throw new AssertionError(method);
            });
  }

  @Test
  void memoryIsTheMostAndTimeWithoutTheFirstBatch() {
    Summary summary = summed(false, true);
    assertThat(summary.prompts()).isEqualTo(2);
    assertThat(summary.pictures()).isEqualTo(4);
    assertThat(summary.fullBytes()).isEqualTo(1000);
    assertThat(summary.processes()).isEqualTo(3);
    assertThat(summary.cells())
        .extracting(CellSummary::kv)
        .containsExactly(memory(100), memory(95), memory(200));
    assertThat(summary.fullMillis().mean()).isEqualTo(30);
    assertThat(summary.cells().getFirst().millis().mean()).isEqualTo(10);
    // Of all or none that have run before, all count.
    for (boolean settled : new boolean[] {true, false}) {
      Summary all = summed(settled, settled);
      assertThat(all.fullMillis().mean()).isEqualTo(60);
      assertThat(all.cells().getFirst().millis().mean()).isEqualTo(30);
    }
  }

  /** 12.7062 standard errors with one degree of freedom; seeds of a prompt are averaged first. */
  @Test
  void intervalsAreOverPrompts() {
    CellSummary heat = summed(false, true).cells().getFirst();
    assertThat(heat.metric("psnr").orElseThrow().mean()).isEqualTo((21 + 30) / 2.0);
    assertThat(heat.metric("psnr").orElseThrow().high())
        .isCloseTo(25.5 + 12.7062 * 4.5, within(1e-3));
    assertThat(heat.metric("psnr").orElseThrow().prompts()).isEqualTo(2);
  }

  /** Positive where HeatKV is better, whichever way the metric goes; at the same budget only. */
  @Test
  void leadsArePositiveWhereHeatKvIsBetter() {
    List<CellSummary> cells = summed(false, true).cells();
    assertThat(cells.getFirst().lead()).isEmpty();
    // (20 - 19, 22 - 23), (30 - 25, 30 - 27)
    assertThat(cells.get(1).lead("psnr").orElseThrow().mean()).isEqualTo(2);
    // 0.3 - 0.2 and 0.1 - 0.4, less is better
    assertThat(cells.get(1).lead("kl").orElseThrow().mean()).isCloseTo(-0.1, within(1e-12));
    assertThat(cells.get(2).lead()).isEmpty();
    assertThat(cells.get(2).lead("psnr")).isEmpty();
  }

  @Test
  void scalesAreMeansOverPictures() {
    CellSummary heat = summed(false, true).cells().getFirst();
    assertThat(heat.bits().get(0)).isEqualTo(0.75);
    assertThat(heat.bits().get(1)).isCloseTo((0.2 + 0.22 + 0.3 + 0.3) / 4, within(1e-12));
    assertThat(heat.divergence().get(0)).isCloseTo(0.3, within(1e-12));
    assertThat(heat.divergence().get(1)).isEqualTo(0.5);
  }

  @Test
  void cellsAreFoundByRatio() {
    Summary summary = summed(false, true);
    assertThat(summary.ratios()).containsExactly(0.1, 0.2);
    assertThat(summary.cell("h2o", 0.2).orElseThrow().budget()).isEqualTo("0.2");
    assertThat(summary.cell("h2o", 0.3)).isEmpty();
    assertThat(summary.cell("heatkv", 0.2)).isEmpty();
    // HeatKV reaches 25.5 dB on average; the other does between 23.5 at 0.1 and 28.5 at 0.2.
    assertThat(summary.matches().getFirst().ratio())
        .isCloseTo(0.1 * Math.pow(2, 0.4), within(1e-12));
  }
}
