package io.heatkv.schedule;

import io.heatkv.error.UserException;
import io.heatkv.scale.ScaleGrids;

/**
 * Sizes that a plan in bytes depends on. Its granule is head_dim / 2 bytes; budgets count 2 bytes a
 * number in any compute type.
 *
 * @param sizes layers, heads and tokens; sink scales serve the rules that keep or drop
 * @param grids grids of the scales
 * @param headDim channels of a head, even; 0 where unknown, which serves the rules that keep or
 *     drop under a ratio
 * @param rows of one picture, to which a budget in bytes refers
 */
public record LevelShape(ScheduleShape sizes, ScaleGrids grids, int headDim, int rows) {
  private static final int BYTES_PER_CHANNEL = 4;
  private static final double TABLE_SHARE = 0.03;
  private static final int WHOLE = Level.ALL.getFirst().precision().entryGranules();

  /**
   * @throws UserException if the full cache has more than 2^31 - 1 granules
   */
  public LevelShape {
    if (fullGranules(sizes) > Integer.MAX_VALUE) {
      throw new UserException(
          "the full cache of "
              + sizes.allHeads()
              + " heads has more than 2^31 - 1 parts of half a head; use smaller grids");
    }
  }

  /** As above. */
  public static LevelShape of(
      int layers, int heads, int headDim, int rows, ScaleGrids grids, int sinkScales) {
    return new LevelShape(ScheduleShape.of(layers, heads, grids, sinkScales), grids, headDim, rows);
  }

  private static long fullGranules(ScheduleShape sizes) {
    return sizes.allHeads() * sizes.fullTokens() * WHOLE;
  }

  /** Bytes of a granule. */
  public int granuleBytes() {
    return headDim / 2;
  }

  /** Bytes of a budget of 1 in one row: keys and values of all scales but the last. */
  public long rowBytes() {
    return sizes.allHeads() * sizes.fullTokens() * BYTES_PER_CHANNEL * headDim;
  }

  /** Bytes of a budget of 1: all rows of one picture. */
  public long budgetBytes() {
    return rows * rowBytes();
  }

  /** Most bytes of a budget of one row that tables are to take, if one layer's are no more. */
  long tableLimit(double budget) {
    return (long) (TABLE_SHARE * budget * rowBytes());
  }

  /** The least budget in bytes of one row of which tables take no more than their share. */
  static long tableBudget(long tables) {
    return (long) Math.ceil(tables / TABLE_SHARE);
  }

  /** Granules that an atom of each source takes at each level, by number: [source][level]. */
  int[][] granules() {
    int[][] granules = new int[sizes.scales() - 1][LevelCosts.LEVELS];
    for (int s = 0; s < granules.length; s++) {
      for (int i = 1; i < LevelCosts.LEVELS; i++) {
        granules[s][i] = Level.ALL.get(i - 1).granules(grids.size(s), headDim);
      }
    }
    return granules;
  }
}
