package io.heatkv.schedule;

import io.heatkv.error.UserException;

/** How many heads every source scale loses, so that the cache fits the budget. */
final class RemovedHeads {
  private RemovedHeads() {}

  /**
   * Heads that every removable source scale has lost when scale {@code t} begins; the same number
   * for every source, never falling. Indexed by scale.
   *
   * <p>{@code ceil(N (in - b full) / (in - sink))}, after pruned_heads_for_budget of the reference,
   * in its order of operations. Where rounding makes that one too few, so that the reference calls
   * a feasible budget infeasible, one more is removed.
   *
   * @param budget ratio of the full cache
   * @throws UserException if the budget is no ratio or too small for the sink scales
   */
  public static int[] forBudget(ScheduleShape shape, double budget) {
    requireFeasible(shape, budget);
    long sink = shape.tokensBefore(shape.sinkScales());
    double budgeted = budget * shape.fullTokens();
    int[] counts = new int[shape.scales()];
    for (int t = 0; t < shape.scales(); t++) {
      long incoming = shape.tokensBefore(t);
      if (incoming > budgeted) {
        double heads = Math.ceil(shape.allHeads() * (incoming - budgeted) / (incoming - sink));
        counts[t] = (int) Math.max(0, Math.min(shape.allHeads(), heads));
      }
      if (t > 0) {
        counts[t] = Math.max(counts[t], counts[t - 1]);
        while (totalAfter(shape, t - 1, counts[t]) > threshold(shape, budget)) {
          counts[t]++;
        }
      }
    }
    return counts;
  }

  static void requireRatio(double budget) {
    if (!(budget >= 0 && budget <= 1)) {
      throw new UserException(
          "budget " + budget + " is out of range; expected a ratio of the full cache from 0 to 1");
    }
  }

  /**
   * @throws UserException if the budget is no ratio or too small for the sink scales
   */
  static void requireFeasible(ScheduleShape shape, double budget) {
    requireRatio(budget);
    if (!isFeasible(shape, budget)) {
      throw new UserException(
          "budget "
              + budget
              + " is infeasible, the "
              + shape.sinkScales()
              + " sink scales are always kept; expected at least "
              + smallestBudget(shape));
    }
  }

  /**
   * The ratio of a budget as users give it.
   *
   * @param fullBytes of the full cache, to which a budget in bytes refers
   * @throws UserException if so many bytes are infeasible
   */
  static double ratio(ScheduleShape shape, Budget budget, long fullBytes) {
    double ratio = budget.ratio(fullBytes);
    double smallest = RemovedHeads.smallestBudget(shape);
    if (budget instanceof Budget.Bytes(long count) && ratio < smallest) {
      long least = (long) Math.ceil(smallest * fullBytes);
      while (new Budget.Bytes(least).ratio(fullBytes) < smallest) {
        least++;
      }
      throw new UserException(
          ("budget of %d bytes is infeasible, the %d sink scales are always kept; expected at"
                  + " least %d bytes (%s of the full cache's %d)")
              .formatted(count, shape.sinkScales(), least, smallest, fullBytes));
    }
    return ratio;
  }

  /** The smallest ratio that leaves room for the sink scales. */
  public static double smallestBudget(ScheduleShape shape) {
    double budget = shape.tokensBefore(shape.sinkScales()) / (double) shape.fullTokens();
    while (!isFeasible(shape, budget)) {
      budget = Math.nextUp(budget);
    }
    while (isFeasible(shape, Math.nextDown(budget))) {
      budget = Math.nextDown(budget);
    }
    return budget;
  }

  /** Largest number of cached head-tokens that a ratio allows, as the reference rounds it. */
  static double threshold(ScheduleShape shape, double budget) {
    return budget * shape.layers() * shape.heads() * shape.fullTokens();
  }

  private static boolean isFeasible(ScheduleShape shape, double budget) {
    long sink = shape.tokensBefore(shape.sinkScales());
    return budget >= 0
        && budget * shape.fullTokens() >= sink
        && threshold(shape, budget) >= shape.allHeads() * sink;
  }

  /** Head-tokens when the last layer of a scale has written and {@code removed} heads are gone. */
  private static long totalAfter(ScheduleShape shape, int scale, int removed) {
    long sink = shape.tokensBefore(Math.min(shape.sinkScales(), scale));
    long removable = 0;
    for (int s = shape.firstSource(); s <= Math.min(shape.lastSource(), scale); s++) {
      removable += shape.tokens(s);
    }
    return shape.allHeads() * sink + (shape.allHeads() - removed) * removable;
  }
}
