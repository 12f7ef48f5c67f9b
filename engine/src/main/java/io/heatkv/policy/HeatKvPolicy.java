package io.heatkv.policy;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvPlan;
import io.heatkv.cache.KvShape;
import io.heatkv.cache.KvStorage;
import io.heatkv.cache.PlannedLevels;
import io.heatkv.cache.PlannedSlots;
import io.heatkv.error.UserException;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.Allocation;
import io.heatkv.schedule.Budget;
import io.heatkv.schedule.CachePlan;
import io.heatkv.schedule.CacheSchedule;
import io.heatkv.schedule.LevelPlan;
import io.heatkv.schedule.LevelShape;
import io.heatkv.schedule.PruningSchedule;
import io.heatkv.schedule.ScheduleShape;
import java.util.Optional;
import java.util.function.Function;

/**
 * HeatKV (arXiv 2605.14877): heads that later scales hardly attend to lose whole scales, by a
 * schedule that is fixed before the first token.
 */
public final class HeatKvPolicy implements CachePolicy {
  private final String name;
  private final CacheSchedule schedule;
  private final Function<KvShape, KvPlan> storage;

  /**
   * Plans the storage of a schedule.
   *
   * @param schedule of the model and the scales that are to be drawn
   * @param type how kept tokens are stored
   */
  public HeatKvPolicy(CacheSchedule schedule, KvStorage type) {
    this(Allocation.DEFAULT.policy(), schedule, type);
  }

  /**
   * Plans the storage of a schedule.
   *
   * @param name on the command line and in reports
   * @param schedule of the model and the scales that are to be drawn
   * @param type how kept tokens are stored; the schedule's budget counts tokens
   */
  public HeatKvPolicy(String name, CacheSchedule schedule, KvStorage type) {
    this.name = name;
    this.schedule = schedule;
    storage =
        switch (schedule) {
          case PruningSchedule pruning -> new PlannedSlots(CachePlan.of(pruning), type)::plan;
          case LevelPlan levels when levels.budget() == 1 -> KvPlan::full;
          case LevelPlan levels -> new PlannedLevels(levels, levels.use())::plan;
        };
  }

  /**
   * Builds the schedule of a calibrated model.
   *
   * @param allocation how the budget is spent
   * @throws UserException if the budget is infeasible, the profile lacks what the allocation needs,
   *     or the rule's tokens aren't stored as asked for
   */
  public static HeatKvPolicy of(Allocation allocation, PolicyInputs inputs) {
    KvStorage type = inputs.storage();
    // Levels say how atoms are stored.
    boolean hasStore = allocation != Allocation.RATE_DISTORTION;
    if (hasStore && type == KvStorage.INT8) {
      throw new UserException(
          "policy %s stores no tokens in %s; choose another KV store or policy"
              .formatted(allocation.policy(), type));
    }
    CalibrationProfile profile = inputs.profile().get();
    KvShape shape = inputs.shape();
    LevelShape sizes = shape.levelShape(profile.setup().sinkScales());
    Budget budget =
        hasStore && type == KvStorage.NATIVE
            ? new Budget.Ratio(inputs.ratio())
            : shape.counted(inputs.budget());
    return new HeatKvPolicy(
        allocation.policy(), allocation.schedule(sizes, profile, budget, inputs.levels()), type);
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public double budget() {
    return schedule.budget();
  }

  @Override
  public Optional<CacheSchedule> schedule() {
    return Optional.of(schedule);
  }

  @Override
  public KvPlan plan(KvShape shape) {
    check(shape);
    return storage.apply(shape);
  }

  private void check(KvShape shape) {
    ScheduleShape planned = schedule.shape();
    if (shape.layers() != planned.layers() || shape.heads() != planned.heads()) {
      throw new UserException(
          ("the pruning schedule is for %d layers of %d heads, the model has %d of %d; use a"
                  + " profile of this model")
              .formatted(planned.layers(), planned.heads(), shape.layers(), shape.heads()));
    }
    if (!matches(shape, planned)) {
      throw new UserException(
          "the pruning schedule is for other scales than %s; calibrate with these"
              .formatted(shape.grids()));
    }
  }

  private boolean matches(KvShape shape, ScheduleShape planned) {
    ScaleGrids grids = shape.grids();
    if (schedule instanceof LevelPlan levels) {
      return levels.sizes().headDim() == shape.headDim()
          && levels.sizes().grids().scales().equals(grids.scales());
    }
    if (grids.count() != planned.scales()) {
      return false;
    }
    for (int t = 0; t < grids.count(); t++) {
      if (grids.tokens(t) != planned.tokens(t)) {
        return false;
      }
    }
    return true;
  }
}
