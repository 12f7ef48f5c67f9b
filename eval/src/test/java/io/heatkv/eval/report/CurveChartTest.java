package io.heatkv.eval.report;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.cache.KvMemory;
import io.heatkv.eval.Interval;
import io.heatkv.eval.run.CellSummary;
import io.heatkv.eval.run.MetricInfo;
import io.heatkv.eval.run.Metrics;
import io.heatkv.eval.run.Summary;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Axes around figures that were made up. */
class CurveChartTest {
  private static final Pattern TICK = Pattern.compile("text-anchor=\"end\">([^<]*)<");

  private static CellSummary cell(double ratio, MetricInfo metric, Interval interval) {
    return new CellSummary(
        "heatkv",
        String.valueOf(ratio),
        ratio,
        KvMemory.NONE,
        interval,
        Map.of(metric.id(), interval),
        Map.of(),
        List.of(),
        List.of());
  }

  private static List<String> ticks(MetricInfo metric, Interval first, Interval second) {
    Summary summary =
        new Summary(
            2,
            2,
            List.of(metric),
            1,
            first,
            Map.of(),
            List.of(cell(0.1, metric, first), cell(0.2, metric, second)),
            List.of(),
            1);
    String svg = new CurveChart(summary, List.of("heatkv"), metric).svg();
    return TICK.matcher(svg).results().map(result -> result.group(1)).toList();
  }

  /** The interval of a few prompts reaches beyond what a similarity can be; the axis doesn't. */
  @Test
  void anAxisEndsAtTheLargestPossibleNumber() {
    assertThat(
            ticks(Metrics.SSIM, new Interval(0.75, 0.62, 1.18, 2), new Interval(0.95, 0.7, 1.2, 2)))
        .containsExactly("0.6", "0.7", "0.8", "0.9", "1");
    assertThat(ticks(Metrics.PSNR, new Interval(20, 12, 28, 2), new Interval(30, 20, 40, 2)))
        .startsWith("10")
        .endsWith("40");
  }

  /**
   * Of two prompts an interval is 12.7 standard errors wide; the curves must be seen all the same.
   */
  @Test
  void wideIntervalsLeaveTheCurvesTheirRoom() {
    assertThat(ticks(Metrics.PSNR, new Interval(20, -100, 140, 2), new Interval(30, -90, 150, 2)))
        .startsWith("10")
        .endsWith("40");
  }
}
