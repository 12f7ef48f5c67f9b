package io.heatkv.policy;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvPlan;
import io.heatkv.cache.KvShape;
import io.heatkv.cache.KvStorage;
import io.heatkv.cache.PlannedSlots;
import io.heatkv.error.UserException;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.scale.ScaleSchedule;
import io.heatkv.schedule.Allocation;
import io.heatkv.schedule.Budget;
import io.heatkv.schedule.CachePlan;
import io.heatkv.schedule.PruningSchedule;
import io.heatkv.schedule.ScheduleShape;
import java.util.Optional;

/**
 * HeatKV (arXiv 2605.14877): heads that later scales hardly attend to lose whole scales, by a
 * schedule that is fixed before the first token.
 */
public final class HeatKvPolicy implements CachePolicy {
  private final String name;
  private final PruningSchedule schedule;
  private final PlannedSlots slots;

  /**
   * Plans the storage of a schedule.
   *
   * @param schedule of the model and the scales that are to be drawn
   * @param type how kept tokens are stored
   */
  public HeatKvPolicy(PruningSchedule schedule, KvStorage type) {
    this(Allocation.DEFAULT.policy(), schedule, type);
  }

  /**
   * Plans the storage of a schedule.
   *
   * @param name on the command line and in reports
   * @param schedule of the model and the scales that are to be drawn
   * @param type how kept tokens are stored; the schedule's budget counts tokens
   */
  public HeatKvPolicy(String name, PruningSchedule schedule, KvStorage type) {
    this.name = name;
    this.schedule = schedule;
    slots = new PlannedSlots(CachePlan.of(schedule), type);
  }

  /**
   * Builds the schedule of a calibrated model.
   *
   * @param allocation how the budget is spent
   * @param profile of the model and the scales that are to be drawn
   * @param shape to which a budget in bytes refers
   * @param type how kept tokens are stored
   * @throws UserException if the budget is infeasible, the profile lacks what the allocation needs,
   *     or tokens of this rule aren't stored so
   */
  public static HeatKvPolicy of(
      Allocation allocation,
      CalibrationProfile profile,
      Budget budget,
      KvShape shape,
      KvStorage type) {
    if (type == KvStorage.INT8) {
      throw new UserException(
          "policy %s stores no tokens in %s; choose another KV store or policy"
              .formatted(allocation.policy(), type));
    }
    ScheduleShape sizes =
        ScheduleShape.of(
            shape.layers(), shape.heads(), shape.schedule(), profile.setup().sinkScales());
    return new HeatKvPolicy(
        allocation.policy(),
        allocation.schedule(sizes, profile, budget, type.fullBytes(shape)),
        type);
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
  public Optional<PruningSchedule> schedule() {
    return Optional.of(schedule);
  }

  @Override
  public KvPlan plan(KvShape shape) {
    check(shape);
    return slots.plan(shape);
  }

  private void check(KvShape shape) {
    ScheduleShape planned = schedule.shape();
    if (shape.layers() != planned.layers() || shape.heads() != planned.heads()) {
      throw new UserException(
          ("the pruning schedule is for %d layers of %d heads, the model has %d of %d; use a"
                  + " profile of this model")
              .formatted(planned.layers(), planned.heads(), shape.layers(), shape.heads()));
    }
    if (!matches(shape.schedule(), planned)) {
      throw new UserException(
          "the pruning schedule is for other scales than %s; calibrate with this scale schedule"
              .formatted(shape.schedule()));
    }
  }

  private static boolean matches(ScaleSchedule scales, ScheduleShape planned) {
    if (scales.count() != planned.scales()) {
      return false;
    }
    for (int t = 0; t < scales.count(); t++) {
      if (scales.tokens(t) != planned.tokens(t)) {
        return false;
      }
    }
    return true;
  }
}
