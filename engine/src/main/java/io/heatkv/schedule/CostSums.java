package io.heatkv.schedule;

import io.heatkv.error.UserException;
import java.util.Arrays;
import java.util.function.IntFunction;

/**
 * Costs of atoms summed over prompts, some of each atom. Immutable; kept as whole multiples of a
 * power of two, so that sums are exact in any order.
 *
 * @param bits of the fraction: sums are multiples of 2^-bits
 * @param prompts summed
 * @param first source scale that has costs
 * @param sums [source - first][layer][head][which]
 */
record CostSums(int bits, int prompts, int first, long[][][][] sums) {
  private static final double MOST = 1 << 16;

  /** A cost of one prompt. */
  interface Cost {
    double at(int source, int layer, int head, int which);
  }

  /**
   * Sums of no prompt, {@code count} of each atom, from scale {@code first} to the last but one.
   */
  static CostSums none(int bits, CalibrationSetup setup, int first, int count) {
    int sources = setup.grids().count() - 1 - first;
    return new CostSums(bits, 0, first, new long[sources][setup.layers()][setup.heads()][count]);
  }

  /**
   * Makes sure that sums, as files hold them, are possible.
   *
   * @param name of these costs
   * @throws UserException if one is no sum of so many prompts
   */
  CostSums checked(String name) {
    Arrays.stream(sums)
        .flatMap(Arrays::stream)
        .flatMap(Arrays::stream)
        .flatMapToLong(Arrays::stream)
        .filter(sum -> Math.abs((double) sum) > Math.scalb(MOST * prompts, bits))
        .findFirst()
        .ifPresent(sum -> {
          throw new UserException(
              "%s costs have the sum %d, which is impossible for %d prompts; calibrate again"
                  .formatted(name, sum, prompts));
        });
    return this;
  }

  /**
   * Adds one prompt.
   *
   * @param what is done to an atom, such as {@code removing}
   * @throws UserException if a cost is no number or too large
   */
  CostSums plus(Cost costs, IntFunction<String> what) {
    return map(
        prompts + 1,
        (s, l, h, i) -> {
          double cost = costs.at(s, l, h, i);
          if (!(Math.abs(cost) <= MOST)) {
            throw new UserException(
                "%s scale %d in layer %d, head %d costs %s; expected at most %s, check the"
                        .formatted(what.apply(i), s, l, h, cost, MOST)
                    + " model's weights");
          }
          return (long) Math.rint(Math.scalb(cost, bits));
        });
  }

  /** Adds the prompts of another calibration of the same model and grids. */
  CostSums plus(CostSums other) {
    return map(prompts + other.prompts, (s, l, h, i) -> other.sums[s - first][l][h][i]);
  }

  private interface Added {
    long at(int source, int layer, int head, int which);
  }

  private CostSums map(int count, Added added) {
    long[][][][] all = new long[sums.length][sums[0].length][][];
    for (int s = 0; s < all.length; s++) {
      for (int l = 0; l < all[s].length; l++) {
        all[s][l] = new long[sums[s][l].length][];
        for (int h = 0; h < all[s][l].length; h++) {
          long[] sum = sums[s][l][h].clone();
          for (int i = 0; i < sum.length; i++) {
            sum[i] = Math.addExact(sum[i], added.at(first + s, l, h, i));
          }
          all[s][l][h] = sum;
        }
      }
    }
    return new CostSums(bits, count, first, all);
  }

  /** Mean over prompts. */
  double mean(int source, int layer, int head, int which) {
    return Math.scalb((double) sums[source - first][layer][head][which], -bits) / prompts;
  }

  /**
   * How much an error in a layer counts: later layers compute with it, and so amplify it, by about
   * the cube root of the number of layers from its own on.
   */
  static double weight(int layers, int layer) {
    return Math.cbrt(layers - layer);
  }
}
