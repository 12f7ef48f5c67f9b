package io.heatkv.cache;

import io.heatkv.schedule.CachePlan;
import io.heatkv.schedule.CacheStep;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.Arrays;

/** A cache whose every slot was planned: one arena of exactly the plan's capacity. */
final class HeatKvCache implements KvCache {
  private final KvShape shape;
  private final CachePlan plan;
  private final Scope storage = Scope.detached();
  // [2, batch, slots, head_dim]; index 0 keys, 1 values
  private final Tensor arena;
  private final MemoryMeter meter = new MemoryMeter();

  HeatKvCache(Backend backend, Device device, KvShape shape, CachePlan plan) {
    this.shape = shape;
    this.plan = plan;
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
    }
  }

  @Override
  public Tensor attend(int layer, int scale, Tensor q, Tensor k, Tensor v) {
    CacheStep step = plan.step(scale, layer);
    try (Scope scope = Scope.open()) {
      Tensor attended = scope.keep(read(step, q, k, v));
      write(step, k, v);
      return attended;
    }
  }

  private Tensor read(CacheStep step, Tensor q, Tensor k, Tensor v) {
    if (step.readSlots().length == 0) {
      meter.add(k, v);
      return Ops.attention(q, k, v, null, 1);
    }
    Tensor retained = Ops.indexSelect(arena, 2, index(step.readSlots()));
    meter.add(k, v, retained);
    return RaggedAttention.attend(q, k, v, retained, step.readLengths());
  }

  private void write(CacheStep step, Tensor k, Tensor v) {
    if (step.writeSlots().length == 0) {
      return;
    }
    Tensor slots = index(step.writeSlots());
    write(arena.select(0, 0), slots, kept(step, k));
    write(arena.select(0, 1), slots, kept(step, v));
  }

  private Tensor kept(CacheStep step, Tensor current) {
    int[] heads = step.writtenHeads();
    return heads.length == shape.heads() ? current : Ops.indexSelect(current, 1, index(heads));
  }

  private void write(Tensor target, Tensor slots, Tensor heads) {
    Ops.indexCopy(target, 1, slots, heads.reshape(shape.batch(), slots.count(), shape.headDim()));
  }

  private Tensor index(int[] values) {
    long[] wide = Arrays.stream(values).asLongStream().toArray();
    return Tensor.of(arena.backend(), wide, wide.length).to(arena.device());
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
