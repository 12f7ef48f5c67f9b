package io.heatkv.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import io.heatkv.profile.PromptSet;
import io.heatkv.scale.ScaleGrids;
import java.util.List;
import java.util.Locale;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Sizes of schedules, calibrations and their sums, up to the ends of their ranges. */
class ScheduleShapeTest {
  private static final String HASH = "0123456789abcdef".repeat(4);

  /** Runs well if no message is expected, else is refused with it. */
  private static void judged(ThrowingCallable made, @Nullable String expected) {
    if (expected == null) {
      assertThatCode(made).doesNotThrowAnyException();
    } else {
      assertThatThrownBy(made).isInstanceOf(UserException.class).hasMessageContaining(expected);
    }
  }

  @ParameterizedTest
  @CsvSource({
    // layers, heads, sink scales, first and last removable of five scales
    "1, 1, 0, 0, 3,",
    "1, 1, 3, 3, 3,",
    "1, 1, 0, 2, 2,",
    "1024, 1024, 0, 0, 3,",
    "1, 1048577, 0, 0, 3, 1 layers of 1048577 heads",
    "0, 1, 0, 0, 3, 0 layers of 1 heads",
    "1, 0, 0, 0, 3, 1 layers of 0 heads",
    "1, 1, -1, 0, 3, sink scales -1",
    "1, 1, 4, 4, 4, sink scales 4",
    "1, 1, 2, 1, 3, removable scales 1 to 3 are out of range; expected a range from 2 to 3",
    "1, 1, 2, 3, 2, removable scales 3 to 2",
    "1, 1, 2, 2, 4, removable scales 2 to 4"
  })
  void rangesOfShapes(
      int layers, int heads, int sinks, int first, int last, @Nullable String expected) {
    int[] tokens = {1, 4, 9, 16, 25};
    judged(() -> new ScheduleShape(layers, heads, tokens, sinks, first, last), expected);
  }

  /** No more than 2^31 - 1 entries of all heads, and no scale without tokens. */
  @Test
  void rangesOfTokens() {
    int most = Integer.MAX_VALUE;
    judged(() -> new ScheduleShape(1, 1, new int[] {1, most - 2, 1}, 0, 0, 1), null);
    judged(() -> new ScheduleShape(1, 1, new int[] {1, most - 1, 1}, 0, 0, 1), "more than 2^31");
    judged(() -> new ScheduleShape(3, 5, new int[] {1, most / 15}, 0, 0, 0), "heads has more than");
    judged(() -> new ScheduleShape(1, 1, new int[] {1, 0, 1}, 0, 0, 1), "has an empty scale");
  }

  @Test
  void tokensAndNumbersOfAtoms() {
    ScheduleShape shape = ScheduleShape.of(3, 2, ScaleGrids.parse("1x1,2x2,3x3,4x4"), 1);
    assertThat(shape.tokensBefore(0)).isZero();
    assertThat(shape.tokensBefore(3)).isEqualTo(14);
    assertThat(shape.fullTokens()).isEqualTo(14);
    assertThat(shape.allHeads()).isEqualTo(6);
    assertThat(List.of(shape.firstSource(), shape.lastSource())).containsExactly(1, 2);
    for (int scale = 0; scale < 4; scale++) {
      assertThat(shape.isRemovable(scale)).isEqualTo(scale == 1 || scale == 2);
    }
    // Numbers sort as source, head, layer do.
    int code = 0;
    for (int source = 0; source < 4; source++) {
      for (int head = 0; head < 2; head++) {
        for (int layer = 0; layer < 3; layer++, code++) {
          assertThat(shape.code(source, head, layer)).isEqualTo(code);
          assertThat(shape.atom(code)).isEqualTo(new Atom(source, head, layer));
          assertThat(shape.layer(code)).isEqualTo(layer);
          assertThat(shape.source(code)).isEqualTo(source);
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "ab, 1, 1, 0, 1, 1,",
    "0, 1, 1, 2, 1, 0.5,",
    "ab, 1024, 1024, 0, 1, 1,",
    "ab, 1, 1048577, 0, 1, 1, heads are out of range",
    "ab, 0, 1, 0, 1, 1, heads are out of range",
    "ab, 1, 0, 0, 1, 1, heads are out of range",
    "ab, 1, 1, -1, 1, 1, sink scales -1",
    "ab, 1, 1, 3, 1, 1, sink scales 3",
    "ab, 1, 1, 0, NaN, 1, cfg",
    "ab, 1, 1, 0, 1, 0, top-p",
    "ab, 1, 1, 0, 1, 1.01, top-p",
    "AB, 1, 1, 0, 1, 1, fingerprint",
    "'', 1, 1, 0, 1, 1, fingerprint"
  })
  void rangesOfCalibrations(
      String fingerprint,
      int layers,
      int heads,
      int sinks,
      double number,
      double topP,
      @Nullable String expected) {
    ScaleGrids grids = ScaleGrids.parse("1x1,2x2,3x3,4x4");
    List<Double> one = List.of(1.0);
    List<Double> asked = List.of(number);
    judged(
        () -> new CalibrationSetup("", fingerprint, layers, heads, grids, sinks, asked, one, topP),
        expected);
    judged(
        () -> new CalibrationSetup("", fingerprint, layers, heads, grids, sinks, one, asked, topP),
        expected);
    judged(() -> new CalibrationSetup("", "ab", 1, 1, grids, 0, List.of(), one, 1), "cfg, tau or");
    judged(() -> new CalibrationSetup("", "ab", 1, 1, grids, 0, one, List.of(), 1), "cfg, tau or");
  }

  @ParameterizedTest
  @CsvSource({"1,", "100000,", "0, 0 prompts", "100001, 100001 prompts"})
  void rangesOfPrompts(int prompts, @Nullable String expected) {
    judged(() -> new PromptSet(HASH, prompts), expected);
    judged(() -> new PromptSet(HASH.substring(1), 1), "SHA-256 is wrong");
    judged(() -> new PromptSet(HASH.toUpperCase(Locale.ROOT), 1), "SHA-256 is wrong");
  }

  /** A mass is at most 1, and 2^-6 more by rounding, for each prompt and later scale. */
  @ParameterizedTest
  @CsvSource({
    // 3 * (1 + 1/64) * 2^40 of three later scales
    "0, 3350074490880,",
    "0, 3350074490881, sum 3350074490881 of source scale 0",
    "1, 2233382993920,",
    "1, 2233382993921, sum 2233382993921 of source scale 1",
    "0, 0,",
    "0, -1, sum -1 of source scale 0"
  })
  void rangesOfSums(int source, long sum, @Nullable String expected) {
    CalibrationSetup setup =
        new CalibrationSetup(
            "", "ab", 1, 1, ScaleGrids.parse("1x1,2x2,3x3,4x4"), 0, List.of(1.0), List.of(1.0), 1);
    long[][][] sums = new long[3][1][1];
    sums[source][0][0] = sum;
    judged(() -> HeadScores.of(setup, 1, sums), expected);
    judged(() -> HeadScores.of(setup, 100_000, new long[3][1][1]), null);
    judged(() -> HeadScores.of(setup, 100_001, new long[3][1][1]), "100001 prompts are too many");
  }

  /** Statistics go up to 2, and 2^-6 more by rounding. */
  @Test
  void rangesOfStatistics() {
    AttentionStatistics none = AttentionStatistics.none(1, 1, 2);
    for (double value : new double[] {0, 2 + 0x1p-6, -0.001, 2.02, Double.NaN}) {
      String expected = value >= 0 && value < 2.02 ? null : "an attention statistic is " + value;
      double[][] ones = {{1}, {1}};
      double[][] asked = {{value}, {value}};
      judged(() -> none.plus(new PromptStatistics(asked, ones, new double[] {1})), expected);
      judged(() -> none.plus(new PromptStatistics(ones, asked, new double[] {1})), expected);
      judged(() -> none.plus(new PromptStatistics(ones, ones, new double[] {value})), expected);
    }
    for (long sum : new long[] {0, 3 * 129L << 34, -1, (3 * 129L << 34) + 1}) {
      String expected = sum >= 0 && sum <= 3 * 129L << 34 ? null : "the sum " + sum;
      long[][] zero = {{0}};
      judged(() -> AttentionStatistics.of(3, new long[][] {{sum}}, zero, new long[1]), expected);
      judged(() -> AttentionStatistics.of(3, zero, new long[][] {{sum}}, new long[1]), expected);
      judged(() -> AttentionStatistics.of(3, zero, zero, new long[] {sum}), expected);
    }
  }

  /** Costs go up to 2^16 either way. */
  @ParameterizedTest
  @ValueSource(doubles = {65536, -65536, 65536.001, -65536.001, Double.NaN})
  void rangesOfCosts(double cost) {
    CalibrationSetup setup =
        new CalibrationSetup(
            "", "ab", 1, 1, ScaleGrids.parse("1x1,2x2"), 0, List.of(1.0), List.of(1.0), 1);
    String expected = Math.abs(cost) <= 65536 ? null : "costs " + cost;
    judged(() -> RemovalCosts.none(setup).plus(new double[][][] {{{cost}}}), expected);
    if (!Double.isNaN(cost)) {
      long sum = (long) (cost * 3 * (1 << 30));
      judged(
          () -> RemovalCosts.of(3, 0, new long[][][] {{{sum}}}),
          expected == null ? null : "the sum " + sum);
    }
  }
}
