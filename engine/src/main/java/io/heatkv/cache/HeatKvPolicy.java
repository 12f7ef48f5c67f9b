package io.heatkv.cache;

import io.heatkv.error.UserException;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.scale.ScaleSchedule;
import io.heatkv.schedule.Allocation;
import io.heatkv.schedule.Budget;
import io.heatkv.schedule.CachePlan;
import io.heatkv.schedule.PruningSchedule;
import io.heatkv.schedule.ScheduleShape;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import org.jspecify.annotations.Nullable;

/**
 * HeatKV (arXiv 2605.14877): heads that later scales hardly attend to lose whole scales, by a
 * schedule that is fixed before the first token.
 */
public final class HeatKvPolicy implements CachePolicy {
  private final String name;
  private final PruningSchedule schedule;
  private final CachePlan plan;
  private @Nullable PlanTables tables;

  /**
   * Plans the storage of a schedule.
   *
   * @param schedule of the model and the scales that are to be drawn
   */
  public HeatKvPolicy(PruningSchedule schedule) {
    this(Allocation.DEFAULT.policy(), schedule);
  }

  /**
   * Plans the storage of a schedule.
   *
   * @param name on the command line and in reports
   * @param schedule of the model and the scales that are to be drawn
   */
  public HeatKvPolicy(String name, PruningSchedule schedule) {
    this.name = name;
    this.schedule = schedule;
    plan = CachePlan.of(schedule);
  }

  /**
   * Builds the schedule of a calibrated model.
   *
   * @param allocation how the budget is spent
   * @param profile of the model and the scales that are to be drawn
   * @param shape to which a budget in bytes refers
   * @throws UserException if the budget is infeasible or the profile lacks what the allocation
   *     needs
   */
  public static HeatKvPolicy of(
      Allocation allocation, CalibrationProfile profile, Budget budget, KvShape shape) {
    ScheduleShape sizes =
        ScheduleShape.of(
            shape.layers(), shape.heads(), shape.schedule(), profile.setup().sinkScales());
    return new HeatKvPolicy(
        allocation.policy(), allocation.schedule(sizes, profile, budget, shape.fullBytes()));
  }

  /** What is removed when. */
  public PruningSchedule schedule() {
    return schedule;
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
  public KvCache open(Backend backend, Device device, KvShape shape) {
    check(shape);
    // Nothing to remove: the full cache's own arithmetic, so that the bits are the same.
    return plan.keepsEverything()
        ? new FullCache(backend, device, shape)
        : new HeatKvCache(backend, device, shape, plan, tables());
  }

  /** Made at the first generation, the same for all others. */
  private synchronized PlanTables tables() {
    if (tables == null) {
      tables = new PlanTables(plan);
    }
    return tables;
  }

  @Override
  public long bytes(KvShape shape) {
    check(shape);
    return plan.capacity() * shape.bytesPerHeadToken();
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
