package io.heatkv.cache;

import io.heatkv.schedule.CachePlan;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.HeadRanges;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.List;

/** A cache whose every slot was planned: one arena of exactly the plan's capacity. */
final class HeatKvCache implements KvCache {
  private final PlanTables tables;
  private final DeviceOps ops;
  private final Scope storage = Scope.detached();
  // [2, batch, slots, head_dim]; index 0 keys, 1 values
  private final Tensor arena;
  private final Tensor numbers;
  private final List<HeadRanges> ranges;
  private final long bytesPerSlot;
  private final MemoryMeter meter = new MemoryMeter();

  HeatKvCache(Backend backend, Device device, KvShape shape, CachePlan plan, PlanTables tables) {
    this.tables = tables;
    ops = backend.ops(device);
    bytesPerSlot = shape.bytesPerHeadToken();
    try (Scope _ = Scope.open()) {
      arena =
          storage.adopt(
              Tensor.empty(
                  backend,
                  shape.dtype(),
                  device,
                  2,
                  shape.batch(),
                  plan.capacity(),
                  shape.headDim()));
      numbers =
          storage.adopt(Tensor.of(backend, tables.numbers(), tables.numbers().length).to(device));
      ranges = HeadRanges.of(backend, device, shape.batch(), tables.ranges(), storage);
    } catch (RuntimeException e) {
      storage.close();
      throw e;
    }
  }

  @Override
  public Tensor attend(int layer, int scale, Tensor q, Tensor k, Tensor v) {
    int index = tables.index(scale, layer);
    PlanTables.Step step = tables.step(index);
    try (Scope scope = Scope.open()) {
      Tensor attended;
      if (step.reads().count() == 0) {
        meter.add(k, v);
        attended = ops.attention(q, k, v, 1);
      } else {
        meter.add(k, v, step.reads().count() * bytesPerSlot);
        attended =
            ops.attentionOverSlots(q, k, v, arena, numbers(step.reads()), ranges.get(index), 1);
      }
      if (step.writes().count() > 0) {
        ops.scatterSlots(arena, numbers(step.writes()), numbers(step.heads()), k, v);
      }
      return scope.keep(attended);
    }
  }

  private Tensor numbers(PlanTables.Run run) {
    return numbers.narrow(0, run.start(), run.count());
  }

  @Override
  public KvMemory memory() {
    return meter.report(arena);
  }

  @Override
  public void close() {
    storage.close();
  }
}
