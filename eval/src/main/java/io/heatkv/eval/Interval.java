package io.heatkv.eval;

import java.util.Arrays;
import java.util.List;
import java.util.function.ToDoubleFunction;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;

/**
 * A figure with its 95 % confidence interval over prompts.
 *
 * <p>Pictures of one prompt resemble each other, so that the prompt is what was sampled
 * independently: values of a prompt's seeds are averaged first, and the interval is Student's t on
 * the prompts' means (the cluster-robust interval for clusters of equal size). Policies are drawn
 * with the same prompts and seeds, so that they are compared by {@link #ofDifferences}, which is
 * narrower than the distance of two intervals.
 *
 * @param mean over prompts
 * @param low its lower bound; NaN where there is none: fewer than two prompts, or an infinite value
 * @param high its upper bound, likewise
 * @param prompts number of prompts
 */
public record Interval(double mean, double low, double high, int prompts) {
  /** Groups of prompts that {@link #ofStatistic} leaves out in turn. */
  public static final int GROUPS = 16;

  /** Whether there are bounds. */
  public boolean isBounded() {
    return Double.isFinite(low) && Double.isFinite(high);
  }

  /** Whether the interval leaves out zero: the difference is more than chance. */
  public boolean excludesZero() {
    return low > 0 || high < 0;
  }

  /**
   * The mean of a metric.
   *
   * @param prompts values of each prompt's pictures, at least one prompt and one picture
   */
  public static Interval of(List<double[]> prompts) {
    return around(prompts.stream().mapToDouble(Interval::mean).toArray());
  }

  /**
   * The mean of {@code a - b}, picture by picture.
   *
   * @param a values of each prompt's pictures
   * @param b of the same prompts and seeds
   * @throws IllegalArgumentException if the numbers of prompts or pictures differ
   */
  public static Interval ofDifferences(List<double[]> a, List<double[]> b) {
    if (a.size() != b.size()) {
      throw new IllegalArgumentException(a.size() + " and " + b.size() + " prompts don't pair");
    }
    return of(IntStream.range(0, a.size()).mapToObj(i -> difference(a.get(i), b.get(i))).toList());
  }

  private static double[] difference(double[] a, double[] b) {
    if (a.length != b.length) {
      throw new IllegalArgumentException(a.length + " and " + b.length + " pictures don't pair");
    }
    return IntStream.range(0, a.length).mapToDouble(i -> a[i] - b[i]).toArray();
  }

  /**
   * A statistic of a whole set of prompts, such as a Fréchet distance, by the grouped jackknife
   * (Efron, "The jackknife, the bootstrap and other resampling plans", 1982): it is computed anew
   * without each of up to {@link #GROUPS} groups of prompts, and the spread of the pseudo-values
   * gives the interval around the value of all. A bootstrap would repeat prompts, which lowers the
   * rank of covariances and so shifts such distances.
   *
   * @param prompts number of prompts; prompt {@code i} is of group {@code i mod groups}
   * @param statistic of the prompts of the given indices
   */
  public static Interval ofStatistic(int prompts, ToDoubleFunction<int[]> statistic) {
    double all = statistic.applyAsDouble(IntStream.range(0, prompts).toArray());
    int groups = Math.min(GROUPS, prompts);
    if (groups < 2) {
      return new Interval(all, Double.NaN, Double.NaN, prompts);
    }
    double[] pseudo = new double[groups];
    for (int g = 0; g < groups; g++) {
      int left = g;
      int[] kept = IntStream.range(0, prompts).filter(i -> i % groups != left).toArray();
      pseudo[g] = groups * all - (groups - 1) * statistic.applyAsDouble(kept);
    }
    double half = halfWidth(pseudo);
    return new Interval(all, all - half, all + half, prompts);
  }

  private static Interval around(double[] means) {
    double mean = mean(means);
    double half = halfWidth(means);
    return new Interval(mean, mean - half, mean + half, means.length);
  }

  private static double mean(double[] values) {
    return Arrays.stream(values)
        .average()
        .orElseThrow(() -> new IllegalArgumentException("no values"));
  }

  private static double halfWidth(double[] values) {
    int freedom = values.length - 1;
    if (freedom < 1 || !Arrays.stream(values).allMatch(Double::isFinite)) {
      return Double.NaN;
    }
    double mean = mean(values);
    double squares = DoubleStream.of(values).map(v -> (v - mean) * (v - mean)).sum();
    return StudentT.quantile95(freedom) * Math.sqrt(squares / freedom / values.length);
  }
}
