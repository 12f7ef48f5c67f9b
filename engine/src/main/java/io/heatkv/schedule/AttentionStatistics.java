package io.heatkv.schedule;

import io.heatkv.error.UserException;
import java.util.Arrays;

/**
 * Statistics summed over prompts, see {@link PromptStatistics}. Immutable; like {@link HeadScores}
 * kept as whole multiples of 2^-40, so that sums are exact in any order.
 */
public final class AttentionStatistics {
  private static final int FRACTION_BITS = 40;
  private static final double MOST = 2 + 0x1p-6;

  private final int prompts;
  // [target scale - 1][layer]
  private final long[][] selectivity;
  // [layer][head]
  private final long[][] variance;
  // [layer]
  private final long[] distance;

  private AttentionStatistics(
      int prompts, long[][] selectivity, long[][] variance, long[] distance) {
    this.prompts = prompts;
    this.selectivity = selectivity;
    this.variance = variance;
    this.distance = distance;
  }

  /**
   * Sums of no prompt.
   *
   * @param scales number of scales, the last one included
   */
  public static AttentionStatistics none(int layers, int heads, int scales) {
    return new AttentionStatistics(
        0, new long[scales - 1][layers], new long[layers][heads], new long[layers]);
  }

  /**
   * Sums of known values, as files hold them.
   *
   * @throws UserException if a sum is no sum of so many prompts
   */
  public static AttentionStatistics of(
      int prompts, long[][] selectivity, long[][] variance, long[] distance) {
    for (long[][] part : new long[][][] {selectivity, variance, {distance}}) {
      for (long[] row : part) {
        for (long sum : row) {
          if (sum < 0 || sum > Math.scalb(MOST * prompts, FRACTION_BITS)) {
            throw new UserException(
                "statistics have the sum %d, which is impossible for %d prompts; calibrate again"
                    .formatted(sum, prompts));
          }
        }
      }
    }
    return new AttentionStatistics(prompts, selectivity, variance, distance);
  }

  /**
   * Adds one prompt.
   *
   * @throws UserException if a value is out of its range
   */
  public AttentionStatistics plus(PromptStatistics added) {
    long[][] targets = new long[selectivity.length][];
    for (int t = 0; t < targets.length; t++) {
      targets[t] = plus(selectivity[t], whole(added.selectivity()[t + 1]));
    }
    long[][] layers = new long[variance.length][];
    for (int l = 0; l < layers.length; l++) {
      layers[l] = plus(variance[l], whole(added.variance()[l]));
    }
    return new AttentionStatistics(
        prompts + 1, targets, layers, plus(distance, whole(added.distance())));
  }

  /** Adds the prompts of another calibration of the same model and grids. */
  public AttentionStatistics plus(AttentionStatistics other) {
    long[][] targets = new long[selectivity.length][];
    Arrays.setAll(targets, t -> plus(selectivity[t], other.selectivity[t]));
    long[][] layers = new long[variance.length][];
    Arrays.setAll(layers, l -> plus(variance[l], other.variance[l]));
    return new AttentionStatistics(
        prompts + other.prompts, targets, layers, plus(distance, other.distance));
  }

  private static long[] whole(double[] values) {
    return Arrays.stream(values)
        .mapToLong(value -> {
          if (!(value >= 0 && value <= MOST)) {
            throw new UserException(
                "an attention statistic is %s; expected 0 to 2, check the model's weights"
                    .formatted(value));
          }
          return (long) Math.rint(Math.scalb(value, FRACTION_BITS));
        })
        .toArray();
  }

  private static long[] plus(long[] a, long[] b) {
    long[] sum = new long[a.length];
    Arrays.setAll(sum, i -> a[i] + b[i]);
    return sum;
  }

  /** Prompts summed. */
  public int prompts() {
    return prompts;
  }

  /**
   * Mean over prompts of the attention selectivity index.
   *
   * @param target a scale other than the first
   */
  public double selectivity(int target, int layer) {
    return mean(selectivity[target - 1][layer]);
  }

  /** Mean over prompts of the summed column variance. */
  public double variance(int layer, int head) {
    return mean(variance[layer][head]);
  }

  /** Mean over prompts of the distance between the keys of neighbouring scales. */
  public double distance(int layer) {
    return mean(distance[layer]);
  }

  private double mean(long sum) {
    return Math.scalb((double) sum, -FRACTION_BITS) / prompts;
  }

  /** Sums in units of 2^-40 [target scale - 1][layer], as files hold them. */
  public long[][] selectivitySums() {
    return selectivity;
  }

  /** Sums in units of 2^-40 [layer][head]. */
  public long[][] varianceSums() {
    return variance;
  }

  /** Sums in units of 2^-40 [layer]. */
  public long[] distanceSums() {
    return distance;
  }
}
