package io.heatkv.cache;

import io.heatkv.schedule.CachePlan;
import org.jspecify.annotations.Nullable;

/** Storage in which every slot is planned, for any number of pictures. */
public final class PlannedSlots {
  private final CachePlan plan;
  private @Nullable PlanTables tables;

  public PlannedSlots(CachePlan plan) {
    this.plan = plan;
  }

  /**
   * What the plan takes.
   *
   * @param shape of the layers, heads and scales that are planned
   */
  public KvPlan plan(KvShape shape) {
    // Nothing to remove: the full cache's own arithmetic, so that the bits are the same.
    if (plan.keepsEverything()) {
      return KvPlan.full(shape);
    }
    long bytes = KvStore.bytes(shape, plan.capacity());
    return new KvPlan(
        bytes,
        bytes,
        (backend, device) -> new PlannedCache(backend, device, shape, plan, tables()));
  }

  /** Made at the first generation, the same for all others. */
  private synchronized PlanTables tables() {
    if (tables == null) {
      tables = new PlanTables(plan);
    }
    return tables;
  }
}
