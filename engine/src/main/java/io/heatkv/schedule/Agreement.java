package io.heatkv.schedule;

import io.heatkv.error.UserException;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;

/** How far two calibrations of one model and its grids agree. */
public final class Agreement {
  private Agreement() {}

  /** A value of an atom. */
  private interface Measure {
    double at(int source, int layer, int head);
  }

  /** Of S-CAS, over the scales that both score; the heads of a source scale are a group. */
  public static RankCorrelation of(HeadScores one, HeadScores other) {
    List<RankCorrelation.Pair> groups = new ArrayList<>();
    for (int s = 0; s < one.scales(); s++) {
      if (one.isScored(s) && other.isScored(s)) {
        groups.add(group(s, one.layers(), one.heads(), one::score, other::score));
      }
    }
    return RankCorrelation.of(groups);
  }

  /**
   * Of removal costs; the heads of a source scale are a group.
   *
   * @param sizes with the sink scales of the one that has more
   */
  public static RankCorrelation of(ScheduleShape sizes, RemovalCosts one, RemovalCosts other) {
    List<RankCorrelation.Pair> groups = new ArrayList<>();
    for (int s = sizes.firstSource(); s <= sizes.lastSource(); s++) {
      groups.add(group(s, sizes.layers(), sizes.heads(), one::cost, other::cost));
    }
    return RankCorrelation.of(groups);
  }

  /** Of level costs; the heads of a source scale at one level are a group. */
  public static RankCorrelation of(ScheduleShape sizes, LevelCosts one, LevelCosts other) {
    List<RankCorrelation.Pair> groups = new ArrayList<>();
    for (int s = 0; s < sizes.scales() - 1; s++) {
      for (int i = 0; i < LevelCosts.LEVELS; i++) {
        int level = i;
        groups.add(
            group(
                s,
                sizes.layers(),
                sizes.heads(),
                (source, l, h) -> one.cost(source, l, h, level),
                (source, l, h) -> other.cost(source, l, h, level)));
      }
    }
    return RankCorrelation.of(groups);
  }

  private static RankCorrelation.Pair group(
      int source, int layers, int heads, Measure one, Measure other) {
    double[] x = new double[layers * heads];
    double[] y = new double[layers * heads];
    for (int i = 0; i < x.length; i++) {
      x[i] = one.at(source, i / heads, i % heads);
      y[i] = other.at(source, i / heads, i % heads);
    }
    return new RankCorrelation.Pair(x, y);
  }

  /**
   * What the plan made from one measurement costs by another, as a ratio to the plan made from that
   * other itself: 1 if nothing is lost. See {@link LevelPlan#cost}.
   *
   * @param budget ratio of the full cache
   * @return empty if the budget is below what any plan takes
   */
  public static OptionalDouble costRatio(
      LevelShape shape, LevelCosts one, LevelCosts other, double budget) {
    double own;
    double foreign;
    try {
      own = LevelPlan.of(shape, other, LevelSet.ALL, budget).cost(other);
      foreign = LevelPlan.of(shape, one, LevelSet.ALL, budget).cost(other);
    } catch (UserException _) {
      return OptionalDouble.empty();
    }
    return OptionalDouble.of(foreign == own ? 1 : foreign / own);
  }
}
