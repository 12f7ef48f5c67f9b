package io.heatkv.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class IntervalTest {
  /** Printed tables, to their digits. */
  @ParameterizedTest
  @CsvSource({
    "1, 12.706",
    "2, 4.303",
    "3, 3.182",
    "4, 2.776",
    "5, 2.571",
    "9, 2.262",
    "10, 2.228",
    "30, 2.042",
    "120, 1.980"
  })
  void quantilesOfStudentsT(int freedom, double expected) {
    assertThat(StudentT.quantile95(freedom)).isCloseTo(expected, within(5e-4));
  }

  /** One degree is Cauchy's distribution, two have a root: closed inverses. */
  @Test
  void closedQuantiles() {
    assertThat(StudentT.quantile95(1)).isCloseTo(Math.tan(0.95 * Math.PI / 2), within(1e-9));
    assertThat(StudentT.quantile95(2))
        .isCloseTo(0.95 * Math.sqrt(2 / (1 - 0.95 * 0.95)), within(1e-9));
    assertThat(StudentT.quantile95(100_000)).isCloseTo(1.959963984540054, within(1e-4));
  }

  @Test
  void seedsOfAPromptAreOneSample() {
    // Means 2, 4, 6: deviation 2, so 4 ± t(2) 2 / sqrt 3.
    Interval interval =
        Interval.of(List.of(new double[] {1, 3}, new double[] {4, 4}, new double[] {0, 12}));
    double half = 4.302652729749464 * 2 / Math.sqrt(3);
    assertThat(interval.mean()).isEqualTo(4);
    assertThat(interval.low()).isCloseTo(4 - half, within(1e-9));
    assertThat(interval.high()).isCloseTo(4 + half, within(1e-9));
    assertThat(interval.prompts()).isEqualTo(3);
    assertThat(interval.excludesZero()).isFalse();
    assertThat(interval.isBounded()).isTrue();
  }

  @Test
  void differencesArePaired() {
    List<double[]> a = List.of(new double[] {10, 12}, new double[] {20}, new double[] {30});
    List<double[]> b = List.of(new double[] {9, 11}, new double[] {19}, new double[] {29});
    Interval interval = Interval.ofDifferences(a, b);
    assertThat(interval).isEqualTo(new Interval(1, 1, 1, 3));
    assertThat(interval.excludesZero()).isTrue();
    assertThatThrownBy(() -> Interval.ofDifferences(a, b.subList(0, 2)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("3 and 2 prompts");
    assertThatThrownBy(
            () -> Interval.ofDifferences(a, List.of(new double[1], new double[1], new double[1])))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("2 and 1 pictures");
  }

  @Test
  void withoutBounds() {
    assertThat(Interval.of(List.of(new double[] {1, 3})))
        .isEqualTo(new Interval(2, Double.NaN, Double.NaN, 1));
    // PSNR of equal pictures.
    Interval infinite =
        Interval.of(List.of(new double[] {Double.POSITIVE_INFINITY}, new double[] {30}));
    assertThat(infinite.mean()).isEqualTo(Double.POSITIVE_INFINITY);
    assertThat(infinite.isBounded()).isFalse();
    assertThat(infinite.excludesZero()).isFalse();
    assertThat(Interval.ofStatistic(1, _ -> 7).isBounded()).isFalse();
    assertThatThrownBy(() -> Interval.of(List.of())).isInstanceOf(IllegalArgumentException.class);
  }

  /** 95 of 100 intervals hold the truth: normal prompts' means with seeds that resemble them. */
  @Test
  void coversTheTruth() {
    long seed = 20260401;
    Random random = new Random(seed);
    int runs = 4000;
    int covered = 0;
    for (int run = 0; run < runs; run++) {
      List<double[]> prompts = new ArrayList<>();
      for (int i = 0; i < 8; i++) {
        double prompt = 5 + random.nextGaussian();
        prompts.add(
            new double[] {
              prompt + 0.2 * random.nextGaussian(), prompt + 0.2 * random.nextGaussian()
            });
      }
      Interval interval = Interval.of(prompts);
      covered += interval.low() <= 5 && 5 <= interval.high() ? 1 : 0;
    }
    // Five standard deviations of the share.
    assertThat(covered / (double) runs)
        .as("seed " + seed)
        .isCloseTo(0.95, within(5 * Math.sqrt(0.95 * 0.05 / runs)));
  }

  /** For a mean of equal groups the jackknife is Student's t on the groups' means. */
  @Test
  void theJackknifeOfAMean() {
    long seed = 20260402;
    double[] values = new Random(seed).doubles(64, -3, 9).toArray();
    Interval jackknife =
        Interval.ofStatistic(
            64, kept -> Arrays.stream(kept).mapToDouble(i -> values[i]).average().orElseThrow());
    List<double[]> groups = new ArrayList<>();
    for (int g = 0; g < Interval.GROUPS; g++) {
      groups.add(new double[] {(values[g] + values[g + 16] + values[g + 32] + values[g + 48]) / 4});
    }
    Interval expected = Interval.of(groups);
    assertThat(jackknife.prompts()).isEqualTo(64);
    assertThat(jackknife.mean()).as("seed " + seed).isCloseTo(expected.mean(), within(1e-12));
    assertThat(jackknife.low()).as("seed " + seed).isCloseTo(expected.low(), within(1e-9));
    assertThat(jackknife.high()).as("seed " + seed).isCloseTo(expected.high(), within(1e-9));
  }
}
