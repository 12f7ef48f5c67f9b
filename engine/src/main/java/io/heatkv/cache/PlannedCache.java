package io.heatkv.cache;

import io.heatkv.schedule.CachePlan;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.HeadRanges;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.List;

/** A cache whose every slot was planned: a store of exactly the plan's capacity. */
final class PlannedCache implements KvCache {
  private final PlanTables tables;
  private final DeviceOps ops;
  private final KvStore store;
  private final Scope onDevice = Scope.detached();
  private final Tensor numbers;
  private final List<HeadRanges> ranges;

  PlannedCache(
      Backend backend,
      Device device,
      KvShape shape,
      KvStorage type,
      CachePlan plan,
      PlanTables tables) {
    this.tables = tables;
    ops = backend.ops(device);
    store = new KvStore(backend, device, shape, type, plan.capacity());
    try (Scope _ = Scope.open()) {
      numbers =
          onDevice.adopt(Tensor.of(backend, tables.numbers(), tables.numbers().length).to(device));
      ranges = HeadRanges.of(backend, device, shape.batch(), tables.ranges(), onDevice);
    } catch (RuntimeException | Error e) {
      close();
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
        store.note(k, v, 0);
        attended = ops.attention(q, k, v, 1);
      } else {
        attended = store.attend(q, k, v, numbers(step.reads()), ranges.get(index));
      }
      if (step.writes().count() > 0) {
        store.put(numbers(step.writes()), numbers(step.heads()), k, v);
      }
      return scope.keep(attended);
    }
  }

  @Override
  public Object repeatKey(int scale) {
    // All ranges lie in one tensor.
    long ends = ranges.isEmpty() ? 0 : ranges.getFirst().keyEnds().address();
    return List.of(tables, store.repeatKey(), numbers.address(), ends);
  }

  private Tensor numbers(PlanTables.Run run) {
    return numbers.narrow(0, run.start(), run.count());
  }

  @Override
  public void repeated(KvMemory then) {
    store.repeated(then);
  }

  @Override
  public void removeRows(int first, int count) {
    store.removeRows(first, count);
  }

  @Override
  public KvMemory memory() {
    long bytes = numbers.bytes();
    for (HeadRanges each : ranges) {
      bytes += each.keyEnds().bytes() + each.queryEnds().bytes();
    }
    return store.memory(bytes);
  }

  @Override
  public void close() {
    onDevice.close();
    store.close();
  }
}
