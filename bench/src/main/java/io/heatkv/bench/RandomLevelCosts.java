package io.heatkv.bench;

import io.heatkv.schedule.Level;
import io.heatkv.schedule.LevelCosts;
import io.heatkv.schedule.ScheduleShape;
import java.util.Random;

/** Costs of a random model's levels, which none were calibrated for: as spread as real ones. */
public final class RandomLevelCosts {
  private static final double TYPICAL = 1e-3;
  private static final double SPREAD = 1.5;
  // Parts of what dropping costs, by precision and by resolution.
  private static final double[] ROUNDING = {0, 1e-3, 1e-2, 4e-2};

  private RandomLevelCosts() {}

  /** Costs of all atoms, the same for the same seed. */
  public static LevelCosts of(ScheduleShape shape, long seed) {
    Random random = new Random(seed);
    long[][][][] sums = new long[shape.scales() - 1][shape.layers()][shape.heads()][];
    for (long[][][] source : sums) {
      for (long[][] layer : source) {
        for (int h = 0; h < layer.length; h++) {
          layer[h] = costs(random);
        }
      }
    }
    return LevelCosts.of(1, sums);
  }

  private static long[] costs(Random random) {
    double dropped = TYPICAL * Math.exp(SPREAD * random.nextGaussian());
    double pooling = Math.exp(random.nextGaussian()) / Level.ALL.size();
    long[] costs = new long[LevelCosts.LEVELS];
    costs[0] = Math.round(dropped / LevelCosts.UNIT);
    for (int i = 1; i < costs.length; i++) {
      Level level = Level.ALL.get(i - 1);
      double part = ROUNDING[level.precision().ordinal()] + pooling * (level.pool() - 1);
      costs[i] = Math.round(Math.min(1, part) * dropped / LevelCosts.UNIT);
    }
    return costs;
  }
}
