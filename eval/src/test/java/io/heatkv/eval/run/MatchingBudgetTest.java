package io.heatkv.eval.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.cache.CachePolicy;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class MatchingBudgetTest {
  private static final double[] RATIOS = {0.05, 0.1, 0.2, 0.4};

  /** Half way between 20 and 22 dB lies the geometric mean of the budgets. */
  @Test
  void isLinearInTheLogarithmOfTheBudget() {
    double[] means = {18, 20, 22, 30};
    assertThat(MatchingBudget.match(RATIOS, means, 21))
        .isEqualTo(Math.sqrt(0.1 * 0.2), within(1e-15));
    assertThat(MatchingBudget.match(RATIOS, means, 24))
        .isEqualTo(0.2 * Math.pow(2, 0.25), within(1e-15));
    assertThat(MatchingBudget.match(RATIOS, means, 22)).isEqualTo(0.2, within(1e-15));
  }

  @Test
  void saysWhatLiesOutside() {
    double[] means = {18, 20, 22, 30};
    assertThat(MatchingBudget.match(RATIOS, means, 30.1)).isEqualTo(Double.POSITIVE_INFINITY);
    assertThat(MatchingBudget.match(RATIOS, means, 18)).isEqualTo(Double.NEGATIVE_INFINITY);
  }

  /** From the budget on, all larger ones have to reach the target. */
  @Test
  void takesTheLastCrossingOfACurveThatFalls() {
    assertThat(MatchingBudget.match(RATIOS, new double[] {25, 19, 21, 23}, 22))
        .isEqualTo(0.2 * Math.sqrt(2), within(1e-15));
  }

  /** Prompts that all differ by the same: every resample gives the same budget. */
  @Test
  void hasNoWidthWherePromptsAgree() {
    Map<String, List<double[]>> values = new LinkedHashMap<>();
    List<Cell> cells = new ArrayList<>();
    add(cells, values, "heatkv", 0.1, 3);
    add(cells, values, "other", 0.1, 2);
    add(cells, values, "other", 0.2, 4);
    add(cells, values, "weak", 0.1, 0);
    add(cells, values, "weak", 0.2, 1);
    List<MatchingBudget> matches = MatchingBudget.all(cells, values);
    assertThat(matches).extracting(MatchingBudget::policy).containsExactly("other", "weak");
    MatchingBudget other = matches.getFirst();
    assertThat(other.ratio()).isEqualTo(0.1 * Math.sqrt(2), within(1e-15));
    assertThat(other.low()).isEqualTo(other.ratio(), within(1e-12));
    assertThat(other.high()).isEqualTo(other.ratio(), within(1e-12));
    assertThat(other.toText()).isEqualTo("14.1 % (14.1 % to 14.1 %)");
    assertThat(matches.getLast().toText()).isEqualTo("more than 20.0 %, the most tried");
  }

  /**
   * Of three prompts, draws of all three the best or all three the worst have 1/27 = 3.7 % each,
   * more than the 2.5 % outside the interval; draws of two of them and the middle one 11 %.
   */
  @Test
  void theIntervalIsWhatNineteenOfTwentyResamplesCover() {
    Map<String, List<double[]>> values = new LinkedHashMap<>();
    List<Cell> cells = new ArrayList<>();
    spread(cells, values, "heatkv", 0.1, 20, 0);
    // 2 dB an octave: 20 dB at 0.1, for the worst prompt half an octave later.
    spread(cells, values, "other", 0.05, 18, 1);
    spread(cells, values, "other", 0.4, 24, 1);
    MatchingBudget other = MatchingBudget.all(cells, values).getFirst();
    assertThat(other.ratio()).isEqualTo(0.1, within(1e-12));
    assertThat(other.low()).isEqualTo(0.1 / Math.sqrt(2), within(1e-12));
    assertThat(other.high()).isEqualTo(0.1 * Math.sqrt(2), within(1e-12));
    assertThat(other.toText()).isEqualTo("10.0 % (7.1 % to 14.1 %)");
  }

  private static void spread(
      List<Cell> cells,
      Map<String, List<double[]>> values,
      String policy,
      double ratio,
      double mean,
      double step) {
    Cell cell = new Cell(policy, String.valueOf(ratio), ratio, CachePolicy.FULL);
    cells.add(cell);
    values.put(
        cell.label(),
        List.of(new double[] {mean - step}, new double[] {mean}, new double[] {mean + step}));
  }

  @Test
  void needsTheReference() {
    Map<String, List<double[]>> values = new LinkedHashMap<>();
    List<Cell> cells = new ArrayList<>();
    add(cells, values, "heatkv", 0.2, 3);
    add(cells, values, "other", 0.1, 2);
    assertThat(MatchingBudget.all(cells, values)).isEmpty();
  }

  /** Five prompts of two seeds around 20 dB, each {@code gain} above what all share. */
  private static void add(
      List<Cell> cells,
      Map<String, List<double[]>> values,
      String policy,
      double ratio,
      double gain) {
    Cell cell = new Cell(policy, String.valueOf(ratio), ratio, CachePolicy.FULL);
    cells.add(cell);
    List<double[]> prompts = new ArrayList<>();
    for (int p = 0; p < 5; p++) {
      prompts.add(new double[] {20 + p + gain, 21 + 3 * p + gain});
    }
    values.put(cell.label(), prompts);
  }
}
