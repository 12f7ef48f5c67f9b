package io.heatkv.schedule;

import io.heatkv.error.UserException;

/**
 * What every level of every atom costs, summed over prompts. A level's number is 0 for dropped,
 * else its place in {@link Level#ALL} from 1. Immutable; sums are exact, see {@link CostSums}.
 */
public final class LevelCosts {
  /** Levels of an atom, dropped included. */
  public static final int LEVELS = 1 + Level.ALL.size();

  // Finer than of removal costs: 16 and 8 bits cost little.
  private static final int FRACTION_BITS = 36;

  /** What sums are multiples of. */
  public static final double UNIT = Math.scalb(1.0, -FRACTION_BITS);

  private final CostSums costs;

  private LevelCosts(CostSums costs) {
    this.costs = costs;
  }

  /** Sums of no prompt. */
  public static LevelCosts none(CalibrationSetup setup) {
    return new LevelCosts(CostSums.none(FRACTION_BITS, setup, 0, LEVELS));
  }

  /**
   * Sums of known values, as files hold them.
   *
   * @param sums [source][layer][head][level], of all scales but the last
   * @throws UserException if a sum is no sum of so many prompts
   */
  public static LevelCosts of(int prompts, long[][][][] sums) {
    return new LevelCosts(new CostSums(FRACTION_BITS, prompts, 0, sums).checked("level"));
  }

  /**
   * Adds one prompt.
   *
   * @param added [source][layer][head][level], of all scales but the last: squared change of the
   *     head's output, summed over queries of later scales
   * @throws UserException if a cost is no number or too large
   */
  public LevelCosts plus(double[][][][] added) {
    return new LevelCosts(
        costs.plus(
            (s, l, h, i) -> added[s][l][h][i],
            i -> i == 0 ? "removing" : "level %s of".formatted(Level.ALL.get(i - 1))));
  }

  /** Adds the prompts of another calibration of the same model and grids. */
  public LevelCosts plus(LevelCosts other) {
    return new LevelCosts(costs.plus(other.costs));
  }

  /** Mean over prompts. */
  public double cost(int source, int layer, int head, int level) {
    return costs.mean(source, layer, head, level);
  }

  /** Sums of all levels in units of 2^-36, as files hold them; not to be changed. */
  public long[] sums(int source, int layer, int head) {
    return costs.sums()[source][layer][head];
  }
}
