package io.heatkv.eval.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.cache.KvMemory;
import io.heatkv.eval.Interval;
import io.heatkv.eval.run.CellSummary;
import io.heatkv.eval.run.MetricInfo;
import io.heatkv.eval.run.Metrics;
import io.heatkv.eval.run.Summary;
import io.heatkv.scale.ScaleGrids;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Numbers as the page shows them. */
class FiguresTest {
  private static final Pattern FIELD = Pattern.compile("--h:([0-9.]+)\">([^<]*)<");
  private static final MetricInfo LOWER =
      new MetricInfo("l", "L", "", MetricInfo.Direction.LOWER, 1, 3, "");

  @ParameterizedTest
  @CsvSource({
    "1.004, 2, 1.00",
    "-0.5, 1, −0.5",
    "2, 0, 2",
    "NaN, 1, –",
    "Infinity, 1, ∞",
    "-Infinity, 1, −∞"
  })
  void numbers(double value, int decimals, String text) {
    assertThat(Html.number(value, decimals)).isEqualTo(text);
  }

  @ParameterizedTest
  @CsvSource({"0.05, 5 %", "1, 100 %", "0.1234, 12.34 %", "0.125, 12.5 %", "2, 200 %", "0, 0 %"})
  void shares(double ratio, String text) {
    assertThat(Html.percent(ratio)).isEqualTo(text);
  }

  @ParameterizedTest
  @CsvSource({
    "1023, 1023 bytes",
    "1024, 1.0 KiB",
    "1048576, 1.0 MiB",
    "1610612736, 1.5 GiB",
    "1152921504606846976, 1048576.0 TiB"
  })
  void bytes(long bytes, String text) {
    assertThat(Html.bytes(bytes)).isEqualTo(text);
  }

  @Test
  void halfOfTheIntervalStandsBehindTheMean() {
    Interval interval = new Interval(21.5, 21, 22.5, 3);
    assertThat(Figures.html(Metrics.PSNR, interval))
        .isEqualTo("21.50<span class=\"pm\"> ± 0.75</span>");
    assertThat(Figures.withInterval(Metrics.PSNR, interval)).isEqualTo("21.50 dB (21.00 to 22.50)");
    Interval single = new Interval(21.5, Double.NaN, Double.NaN, 1);
    assertThat(Figures.html(LOWER, single)).isEqualTo("21.500");
    assertThat(Figures.withInterval(LOWER, single))
        .isEqualTo("21.500 (no interval: a single prompt)");
  }

  /** Round numbers, at most seven, which leave out nothing. */
  @ParameterizedTest
  @CsvSource({
    "0, 6, '0,1,2,3,4,5,6'",
    "0, 6.1, '0,2,4,6,8'",
    "0, 14, '0,5,10,15'",
    "0, 31, '0,10,20,30,40'",
    "0.62, 1, '0.6,0.7,0.8,0.9,1'",
    "3, 3, '3,3.5'",
    "-1, 1, '-1,-0.5,0,0.5,1'"
  })
  void linearTicks(double least, double most, String ticks) {
    Axis axis = Axis.around(List.of(most, least), false);
    List<Double> expected = new ArrayList<>();
    for (String tick : ticks.split(",")) {
      expected.add(Double.valueOf(tick));
    }
    assertThat(axis.logarithmic()).isFalse();
    assertThat(axis.ticks()).hasSameSizeAs(expected);
    for (int i = 0; i < expected.size(); i++) {
      assertThat(axis.ticks().get(i)).isCloseTo(expected.get(i), within(1e-9));
    }
    assertThat(axis.part(expected.getFirst())).isCloseTo(0, within(1e-9));
    assertThat(axis.part(expected.getLast())).isCloseTo(1, within(1e-9));
  }

  /** Room of a factor of 1.3 at both ends; 1, 2 and 5 where that is less than two decades. */
  @ParameterizedTest
  @CsvSource({
    "0.014, 0.7, '0.02,0.05,0.1,0.2,0.5'",
    "1, 58, '1,2,5,10,20,50'",
    "1, 60, '1,10'",
    "0.01, 1, '0.01,0.1,1'"
  })
  void logarithmicTicks(double least, double most, String ticks) {
    Axis axis = Axis.around(List.of(least, most), true);
    assertThat(axis.low()).isCloseTo(least / 1.3, within(1e-12));
    assertThat(axis.high()).isCloseTo(most * 1.3, within(1e-9));
    assertThat(axis.part(Math.sqrt(axis.low() * axis.high()))).isCloseTo(0.5, within(1e-9));
    List<String> found = axis.ticks().stream().map(t -> String.valueOf(t.floatValue())).toList();
    assertThat(String.join(",", found).replace(".0,", ",").replaceAll("\\.0$", ""))
        .isEqualTo(ticks);
  }

  @Test
  void whatReachesZeroHasNoLogarithm() {
    assertThat(Axis.around(List.of(0.0, 3.0), true).logarithmic()).isFalse();
    assertThat(Axis.around(List.of(0.001, 3.0), true).logarithmic()).isTrue();
  }

  @Test
  void budgetsHaveATickEach() {
    Axis axis = Axis.budgets(List.of(0.4, 0.1, 0.4, 0.2));
    assertThat(axis.ticks()).containsExactly(0.1, 0.2, 0.4);
    assertThat(axis.low()).isCloseTo(0.1 / Math.pow(4, 0.08), within(1e-12));
    assertThat(axis.high()).isCloseTo(0.4 * Math.pow(4, 0.08), within(1e-12));
    // A single one has some room, too.
    assertThat(Axis.budgets(List.of(0.1)).high())
        .isCloseTo(0.1 * Math.pow(1.5, 0.08), within(1e-12));
  }

  private static CellSummary cell(
      String policy, double ratio, double lead, List<Double> bits, List<Double> divergence) {
    Interval ten = new Interval(10, 9, 11, 2);
    return new CellSummary(
        policy,
        String.valueOf(ratio),
        ratio,
        KvMemory.NONE,
        ten,
        Map.of("psnr", ten),
        Map.of("psnr", new Interval(lead, lead - 1, lead + 1, 2)),
        bits,
        divergence);
  }

  private static Summary summary(CellSummary... cells) {
    Interval one = new Interval(1, 1, 1, 2);
    return new Summary(2, 2, List.of(Metrics.PSNR), 1, one, Map.of(), List.of(cells), List.of(), 1);
  }

  private static List<String> fields(String html) {
    return FIELD.matcher(html).results().map(m -> m.group(1) + " " + m.group(2)).toList();
  }

  /** Half of the bits are equal by chance; divergences are darker by quarters of four decades. */
  @Test
  void fieldsAreDarkerWhereMoreIsLost() {
    Summary summary =
        summary(
            cell("a", 0.1, 0, List.of(1.0, 0.75, 0.5), List.of(0.0, 0.02, 0.0002)),
            cell("b", 0.1, 0, List.of(0.4, 0.9, 0.999), List.of(0.002, 0.001, 0.000002)));
    ScaleTable table = new ScaleTable(summary, List.of("b", "a"), ScaleGrids.parse("1x1,2x2,3x3"));
    assertThat(fields(table.agreement()))
        .containsExactly(
            "1.000 40.0", "0.200 90.0", "0.002 99.9", "0.000 100.0", "0.500 75.0", "1.000 50.0");
    assertThat(fields(table.divergence()))
        .containsExactly(
            "0.750 0.0020", "0.675 0.0010", "0.000 2e−6", "0.000 0", "1.000 0.0200", "0.500 2e−4");
  }

  /** Only a lead that is more than chance is marked, by whom it favours. */
  @Test
  void leadsAreMarkedWhereTheyAreMoreThanChance() {
    Summary summary =
        summary(
            cell("heatkv", 0.1, 0, List.of(), List.of()),
            cell("a", 0.1, 2, List.of(), List.of()),
            cell("a", 0.2, -2, List.of(), List.of()),
            cell("b", 0.1, 0.5, List.of(), List.of()),
            cell("b", 0.2, -1, List.of(), List.of()));
    String html =
        new LeadTable(summary, List.of("heatkv", "a", "b"), Metrics.PSNR)
            .html()
            .replaceAll("<span class=\"pm\">[^<]*</span>", "");
    assertThat(html)
        .containsSubsequence("20 %", "10 %")
        .contains("<td class=\"behind\">−2.00</td><td class=\"best\">+2.00</td>")
        .contains("<td>−1.00</td><td>+0.50</td>")
        .doesNotContain("heatkv");
  }
}
