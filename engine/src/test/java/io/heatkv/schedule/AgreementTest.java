package io.heatkv.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.RankCorrelation.Pair;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Ranks and costs of two calibrations, worked out by hand. */
class AgreementTest {
  private static final LevelShape SHAPE =
      LevelShape.of(2, 1, 32, 2, ScaleGrids.parse("1x1,2x2,3x3"), 1);

  private static double[] numbers(String text) {
    return Arrays.stream(text.split(" ")).mapToDouble(Double::parseDouble).toArray();
  }

  @ParameterizedTest
  @CsvSource({
    // 1 - 6 sum(d^2) / (n (n^2 - 1)) with squared differences of ranks 1 1 1 1 0
    "1 2 3 4 5, 20 10 40 30 50, 0.8",
    "1 2 3, 1 10 100, 1",
    "1 2 3, 7 -5 -9, -1",
    // Ranks 0.5 0.5 2 and 0 1 2: 1.5 / sqrt(1.5 * 2).
    "4 4 9, 1 2 3, 0.8660254037844386"
  })
  void spearman(String one, String other, double expected) {
    RankCorrelation ranks = RankCorrelation.of(List.of(new Pair(numbers(one), numbers(other))));
    assertThat(ranks.overall()).isCloseTo(expected, within(1e-12));
    assertThat(ranks.mean()).isEqualTo(ranks.overall());
    assertThat(ranks.least()).isEqualTo(ranks.overall());
  }

  @Test
  void groupsAreRankedApartAndThoseWithoutOrderDoNotCount() {
    Pair same = new Pair(numbers("1 2"), numbers("1 2"));
    Pair reverse = new Pair(numbers("11 12"), numbers("12 11"));
    Pair flat = new Pair(numbers("5 5"), numbers("90 91"));
    RankCorrelation ranks = RankCorrelation.of(List.of(same, flat, reverse));
    assertThat(ranks.mean()).isZero();
    assertThat(ranks.least()).isEqualTo(-1);
    // Ranks 1 2 3 4 and 1 2 4 3: 1 - 6 * 2 / 60.
    assertThat(ranks.overall()).isCloseTo(0.8, within(1e-12));
    assertThat(RankCorrelation.of(List.of(flat)).mean()).isNaN();
    assertThat(RankCorrelation.of(List.of(flat)).overall()).isNaN();
  }

  @Test
  void onlyScalesThatBothMeasuredAreRanked() {
    // Without the last, scales 1 and 2 are scored by one, scale 2 by the other.
    CalibrationSetup one = setup(1);
    CalibrationSetup other = setup(2);
    HeadScores many = HeadScores.of(one, 1, new long[][][] {{{3, 2, 1}}, {{1, 2, 3}}});
    HeadScores few = HeadScores.of(other, 1, new long[][][] {{{10, 30, 20}}});
    // Ranks 1 2 3 and 1 3 2: 1 - 6 * 2 / 24.
    assertThat(Agreement.of(many, few).overall()).isCloseTo(0.5, within(1e-12));
    RemovalCosts manyCosts = RemovalCosts.of(1, 1, new long[][][] {{{3, 2, 1}}, {{1, 2, 3}}});
    RemovalCosts fewCosts = RemovalCosts.of(1, 2, new long[][][] {{{10, 30, 20}}});
    ScheduleShape sizes = ScheduleShape.of(1, 3, one.grids(), 2);
    assertThat(Agreement.of(sizes, manyCosts, fewCosts).least()).isCloseTo(0.5, within(1e-12));
  }

  private static CalibrationSetup setup(int sinkScales) {
    return new CalibrationSetup(
        "m",
        "ab",
        1,
        3,
        ScaleGrids.parse("1x1,2x2,3x3,4x4"),
        sinkScales,
        List.of(3.0),
        List.of(1.0),
        1);
  }

  /** Of two layers with one head: scale 1 costs nothing whole in 16 bits, else as given. */
  private static LevelCosts costs(double first, double last) {
    double[][][][] costs = new double[2][2][1][LevelCosts.LEVELS];
    Arrays.fill(costs[1][0][0], first);
    Arrays.fill(costs[1][1][0], last);
    costs[1][0][0][1] = 0;
    costs[1][1][0][1] = 0;
    return LevelCosts.none(
            new CalibrationSetup("m", "ab", 2, 1, SHAPE.grids(), 1, List.of(3.0), List.of(1.0), 1))
        .plus(costs);
  }

  @Test
  void aForeignScheduleCostsWhatItDropsByTheOtherMeasure() {
    LevelCosts one = costs(3, 1);
    LevelCosts other = costs(1, 4);
    // 896 of 1,280 bytes hold one of the two atoms of 512. Each measure keeps its dearer one: the
    // other's own schedule loses 1 in layer 0, which counts by the cube root of 2; the foreign one
    // loses 4 in layer 1.
    assertThat(Agreement.costRatio(SHAPE, one, other, 0.7).orElseThrow())
        .isCloseTo(4 / Math.cbrt(2), within(1e-9));
    assertThat(Agreement.costRatio(SHAPE, other, one, 0.7).orElseThrow())
        .isCloseTo(3 * Math.cbrt(2), within(1e-9));
    assertThat(Agreement.costRatio(SHAPE, one, one, 0.7)).hasValue(1);
    // The whole cache costs nothing by any measure.
    assertThat(Agreement.costRatio(SHAPE, one, other, 1)).hasValue(1);
    assertThat(Agreement.costRatio(SHAPE, one, other, 0.01)).isEmpty();
  }

  @Test
  void levelsOfAScaleAreRankedApart() {
    // All levels but whole 16 bits rank the two layers the other way round.
    RankCorrelation ranks = Agreement.of(SHAPE.sizes(), costs(3, 1), costs(1, 4));
    assertThat(ranks.mean()).isEqualTo(-1);
  }
}
