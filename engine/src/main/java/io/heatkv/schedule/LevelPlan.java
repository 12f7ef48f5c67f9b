package io.heatkv.schedule;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Which atom is stored when, at which level and where in one arena of granules that all layers and
 * heads share. Any free granule serves, so that nothing is lost to fragmentation; the arena's size
 * is the most that is stored at a time. The last scale is never stored.
 */
public final class LevelPlan implements LevelSteps, CacheSchedule {
  private final LevelShape shape;
  private final double budget;
  private final LevelStep[][] steps;
  // [scale but the last][layer]: granules stored after the layer's writing
  private final int[][] live;
  // [scale]: where groups of layers end
  private final int[][] groups;
  private final Use use;
  private final int granules;

  /**
   * What one row's bytes at the fullest moment are, and tables that all rows share.
   *
   * @param data of keys and values
   * @param numbers of their scales
   * @param loss in granules that numbers fill in part
   * @param tables most that tables take that are on a device at a time
   * @param meanRuns of an atom that the last scale finds
   */
  public record Use(long data, long numbers, long loss, long tables, double meanRuns) {}

  LevelPlan(
      LevelShape shape, double budget, LevelStep[][] steps, int[][] live, int[][] groups, Use use) {
    this.shape = shape;
    this.budget = budget;
    this.steps = steps;
    this.live = live;
    this.groups = groups;
    this.use = use;
    granules = Arrays.stream(live).flatMapToInt(Arrays::stream).max().orElseThrow();
  }

  /** All atoms at one level, without a budget; the plan's is what it takes, at most 1. */
  public static LevelPlan fixed(LevelShape shape, Level level) {
    ScheduleShape sizes = shape.sizes();
    byte[] row = new byte[(sizes.scales() - 1) * sizes.allHeads()];
    Arrays.fill(row, (byte) (1 + Level.ALL.indexOf(level)));
    byte[][] levels = new byte[sizes.scales()][];
    Arrays.fill(levels, row);
    int[][][] none = new int[sizes.scales() - 1][sizes.layers()][0];
    LevelPlan plan = new LevelPlacer(shape, levels, none).plan(1, shape.tableLimit(1));
    return new LevelPlan(
        shape, Math.min(1, plan.peakRatio()), plan.steps, plan.live, plan.groups, plan.use);
  }

  /**
   * What a schedule keeps, in 16 bits; its tables come on top of its budget.
   *
   * @param shape of the same sizes
   */
  public static LevelPlan of(LevelShape shape, PruningSchedule schedule) {
    ScheduleShape sizes = schedule.shape();
    byte[][] levels = new byte[sizes.scales()][(sizes.scales() - 1) * sizes.allHeads()];
    int[][][] early = new int[sizes.scales() - 1][sizes.layers()][];
    for (int t = 0; t < early.length; t++) {
      Arrays.fill(levels[t + 1], (byte) 1);
      for (int code : schedule.finalCodes(t)) {
        levels[t + 1][code] = 0;
      }
      for (int l = 0; l < sizes.layers(); l++) {
        early[t][l] = schedule.earlyCodes(t, l);
      }
    }
    return new LevelPlacer(shape, levels, early)
        .plan(schedule.budget(), shape.tableLimit(schedule.budget()));
  }

  /**
   * Spends a budget by what levels cost.
   *
   * @param budget ratio of the full cache at 2 bytes a number; 1 keeps everything in 16 bits
   * @throws io.heatkv.error.UserException if it is no ratio or infeasible
   */
  public static LevelPlan of(LevelShape shape, LevelCosts costs, LevelSet levels, double budget) {
    return RateDistortion.plan(shape, costs, levels, budget);
  }

  /** What the plan depends on. */
  public LevelShape sizes() {
    return shape;
  }

  @Override
  public ScheduleShape shape() {
    return shape.sizes();
  }

  @Override
  public double budget() {
    return budget;
  }

  @Override
  public int granules() {
    return granules;
  }

  @Override
  public int[] groups(int scale) {
    return groups[scale].clone();
  }

  /** Granules stored after a layer has written a scale other than the last. */
  public int live(int scale, int layer) {
    return live[scale][layer];
  }

  /** Bytes of one row of the arena. */
  public long rowBytes() {
    return (long) granules * shape.granuleBytes();
  }

  /** Most bytes of tables on a device at a time that say where atoms lie, shared by all rows. */
  public long tableBytes() {
    return use.tables();
  }

  /** What the bytes are. */
  public Use use() {
    return use;
  }

  @Override
  public double peakRatio() {
    return (rowBytes() + tableBytes()) / (double) shape.rowBytes();
  }

  @Override
  public LevelStep step(int scale, int layer) {
    return steps[scale][layer];
  }

  @Override
  public Map<Atom, Level> seen(int scale) {
    Map<Atom, Level> seen = new LinkedHashMap<>();
    for (LevelStep step : steps[scale]) {
      step.reads().forEach(read -> seen.put(read.atom(), read.level()));
    }
    return seen;
  }

  /** What the levels that the last scale finds cost, summed as the allocation weighs them. */
  double cost(LevelCosts costs) {
    ScheduleShape sizes = shape.sizes();
    Map<Atom, Level> seen = seen(sizes.scales() - 1);
    double total = 0;
    for (int code = 0; code < (sizes.scales() - 1) * sizes.allHeads(); code++) {
      Atom atom = sizes.atom(code);
      Level level = seen.get(atom);
      int number = level == null ? 0 : 1 + Level.ALL.indexOf(level);
      total +=
          costs.cost(atom.source(), atom.layer(), atom.head(), number)
              * CostSums.weight(sizes.layers(), atom.layer());
    }
    return total;
  }

  @Override
  public String canonicalJson() {
    return LevelJson.canonical(shape, this);
  }
}
