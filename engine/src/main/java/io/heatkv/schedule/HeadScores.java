package io.heatkv.schedule;

import io.heatkv.error.UserException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/**
 * S-CAS: how much later scales attend to each source scale in each head (paper, section 3; tools/
 * compute_scas.py of the reference). Immutable.
 *
 * <p>Attention masses are rounded once, to multiples of 2^-40, and summed as whole numbers: sums
 * are exact, so they don't depend on the order of prompts or on how these were spread over
 * machines.
 */
public final class HeadScores {
  /** No more prompts than this can be summed without overflow. */
  public static final int MAX_PROMPTS = 100_000;

  private static final int FRACTION_BITS = 40;
  // The mass of a softmax is at most 1, up to rounding.
  private static final double MAX_MASS = 1 + 0x1p-6;

  private final int layers;
  private final int heads;
  private final int scales;
  private final int sinkScales;
  private final int prompts;
  // [source - sinkScales][layer][head]
  private final long[][][] sums;

  private HeadScores(
      int layers, int heads, int scales, int sinkScales, int prompts, long[][][] sums) {
    this.layers = layers;
    this.heads = heads;
    this.scales = scales;
    this.sinkScales = sinkScales;
    this.prompts = prompts;
    this.sums = sums;
  }

  /**
   * Sums of no prompt.
   *
   * @param scales number of scales, the last one included
   * @param sinkScales first scales, which aren't scored
   * @throws UserException if no scale is left to score
   */
  public static HeadScores none(int layers, int heads, int scales, int sinkScales) {
    if (sinkScales < 0 || sinkScales > scales - 2) {
      throw new UserException(
          "sink scales "
              + sinkScales
              + " are out of range for "
              + scales
              + " scales; expected 0 to "
              + (scales - 2));
    }
    return new HeadScores(
        layers, heads, scales, sinkScales, 0, new long[scales - 1 - sinkScales][layers][heads]);
  }

  /**
   * Sums of known values, as files hold them.
   *
   * @param sums [source - sinkScales][layer][head] in units of 2^-40
   * @throws UserException if a sum is no sum of so many prompts
   */
  public static HeadScores of(CalibrationSetup setup, int prompts, long[][][] sums) {
    int scales = setup.grids().count();
    int sinkScales = setup.sinkScales();
    checkPrompts(prompts);
    for (int source = sinkScales; source < scales - 1; source++) {
      double most = Math.scalb(MAX_MASS * prompts * (scales - 1 - source), FRACTION_BITS);
      for (long[] layer : sums[source - sinkScales]) {
        for (long sum : layer) {
          if (sum < 0 || sum > most) {
            throw new UserException(
                "sum "
                    + sum
                    + " of source scale "
                    + source
                    + " is impossible for "
                    + prompts
                    + " prompts; calibrate again");
          }
        }
      }
    }
    return new HeadScores(setup.layers(), setup.heads(), scales, sinkScales, prompts, sums);
  }

  private static void checkPrompts(int prompts) {
    if (prompts > MAX_PROMPTS) {
      throw new UserException(prompts + " prompts are too many; expected at most " + MAX_PROMPTS);
    }
  }

  /**
   * Adds one prompt.
   *
   * @param masses [target][source][layer][head]: mean over the queries of the target scale of the
   *     attention that they pay to all tokens of the source scale. Read where {@code sinkScales <=
   *     source < target}; the rest may be missing
   * @throws UserException if a mass is not from 0 to 1
   */
  public HeadScores plus(double[][][][] masses) {
    checkPrompts(prompts + 1);
    long[][][] added = copy();
    for (int target = sinkScales + 1; target < scales; target++) {
      for (int source = sinkScales; source < target; source++) {
        for (int l = 0; l < layers; l++) {
          for (int h = 0; h < heads; h++) {
            double mass = masses[target][source][l][h];
            if (!(mass >= 0 && mass <= MAX_MASS)) {
              throw new UserException(
                  "attention mass "
                      + mass
                      + " of scale "
                      + target
                      + " on scale "
                      + source
                      + " in layer "
                      + l
                      + ", head "
                      + h
                      + " is impossible; expected 0 to 1, check the model's weights");
            }
            added[source - sinkScales][l][h] += (long) Math.rint(Math.scalb(mass, FRACTION_BITS));
          }
        }
      }
    }
    return new HeadScores(layers, heads, scales, sinkScales, prompts + 1, added);
  }

  /**
   * Adds the prompts of another calibration of the same model and grids.
   *
   * @throws UserException if there are too many prompts
   */
  public HeadScores plus(HeadScores other) {
    if (layers != other.layers
        || heads != other.heads
        || scales != other.scales
        || sinkScales != other.sinkScales) {
      throw new IllegalArgumentException("scores of other layers, heads or scales");
    }
    checkPrompts(prompts + other.prompts);
    long[][][] added = copy();
    for (int i = 0; i < added.length; i++) {
      for (int l = 0; l < layers; l++) {
        for (int h = 0; h < heads; h++) {
          added[i][l][h] += other.sums[i][l][h];
        }
      }
    }
    return new HeadScores(layers, heads, scales, sinkScales, prompts + other.prompts, added);
  }

  private long[][][] copy() {
    return Arrays.stream(sums)
        .map(source -> Arrays.stream(source).map(long[]::clone).toArray(long[][]::new))
        .toArray(long[][][]::new);
  }

  public int layers() {
    return layers;
  }

  /** Heads of one layer. */
  public int heads() {
    return heads;
  }

  /** Number of scales, the last one included. */
  public int scales() {
    return scales;
  }

  public int sinkScales() {
    return sinkScales;
  }

  /** Prompts summed. */
  public int prompts() {
    return prompts;
  }

  /** Whether a scale is scored: neither a sink scale nor the last one. */
  public boolean isScored(int source) {
    return source >= sinkScales && source < scales - 1;
  }

  /** Sum of the masses on a scored source scale over prompts and later scales, times 2^40. */
  public long sum(int source, int layer, int head) {
    return sums[source - sinkScales][layer][head];
  }

  /** Mean mass over prompts and later scales; NaN if the scale isn't scored or without prompts. */
  public double score(int source, int layer, int head) {
    if (!isScored(source)) {
      return Double.NaN;
    }
    double count = (double) prompts * (scales - source - 1);
    return Math.scalb((double) sum(source, layer, head), -FRACTION_BITS) / count;
  }

  /**
   * Heads by ascending score, then head, then layer.
   *
   * @throws UserException if no prompt was summed
   */
  public HeadOrders orders() {
    if (prompts == 0) {
      throw new UserException("no prompt was calibrated; expected at least one");
    }
    List<List<List<Integer>>> orders = new ArrayList<>();
    for (int s = sinkScales; s < scales - 1; s++) {
      int source = s;
      List<List<Integer>> order = new ArrayList<>();
      for (int h = 0; h < heads; h++) {
        for (int l = 0; l < layers; l++) {
          order.add(List.of(h, l));
        }
      }
      // Stable, so equal scores stay sorted by head and layer.
      order.sort(Comparator.comparingDouble(pair -> score(source, pair.get(1), pair.get(0))));
      orders.add(order);
    }
    return HeadOrders.parse("scores", orders, layers, heads, sinkScales, scales - 2);
  }
}
