package io.heatkv.cache;

import io.heatkv.schedule.CachePlan;
import org.jspecify.annotations.Nullable;

/** Storage in which every slot is planned, for any number of pictures. */
public final class PlannedSlots {
  private final CachePlan plan;
  private final KvStorage type;
  private @Nullable PlanTables tables;

  public PlannedSlots(CachePlan plan, KvStorage type) {
    this.plan = plan;
    this.type = type;
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
    long bytes = type.bytesPerHeadToken(shape) * plan.capacity();
    return new KvPlan(
        bytes,
        new KvParts(0, 0, PlanTables.bytes(plan, shape)),
        bytes,
        shape.bytesPerHeadToken() * plan.capacity() / shape.layers(),
        (backend, device) -> new PlannedCache(backend, device, shape, type, plan, tables()));
  }

  /** Made at the first generation, the same for all others. */
  private synchronized PlanTables tables() {
    if (tables == null) {
      tables = new PlanTables(plan);
    }
    return tables;
  }
}
