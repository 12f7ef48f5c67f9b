package io.heatkv.cache;

import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.Ops.AttentionParts;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;

/** Keeps everything, as the models were trained: the baseline. The last scale is never stored. */
public final class FullCache implements KvCache {
  private final KvShape shape;
  private final Scope storage = Scope.detached();
  // [layers, 2, batch, heads, cached tokens, head_dim]; index 0 keys, 1 values.
  private final Tensor arena;
  private final MemoryMeter meter = new MemoryMeter();

  public FullCache(Backend backend, Device device, KvShape shape) {
    this.shape = shape;
    try (Scope _ = Scope.open()) {
      arena =
          storage.adopt(
              Tensor.empty(
                  backend,
                  shape.dtype(),
                  device,
                  shape.layers(),
                  2,
                  shape.batch(),
                  shape.heads(),
                  shape.schedule().cachedTokens(),
                  shape.headDim()));
    }
  }

  @Override
  public Tensor attend(int layer, int scale, Tensor q, Tensor k, Tensor v) {
    DeviceOps ops = q.backend().ops(q.device());
    Stored stored = store(ops, layer, scale, k, v);
    return isLast(scale)
        ? ops.attentionOverBoth(q, k, v, stored.keys, stored.values, 1)
        : ops.attention(q, stored.keys, stored.values, 1);
  }

  /** As {@link #attend}, to the last bit, with the log-sum-exp of each query's scores [b, h, n]. */
  public AttentionParts attendWithLse(int layer, int scale, Tensor q, Tensor k, Tensor v) {
    DeviceOps ops = q.backend().ops(q.device());
    Stored stored = store(ops, layer, scale, k, v);
    return isLast(scale)
        ? ops.attentionOverBothWithLse(q, k, v, stored.keys, stored.values, 1)
        : ops.attentionWithLse(q, stored.keys, stored.values, 1);
  }

  private boolean isLast(int scale) {
    return scale == shape.schedule().count() - 1;
  }

  /** What a scale sees of the arena: all scales up to it, or before it if it is the last. */
  private record Stored(Tensor keys, Tensor values) {}

  private Stored store(DeviceOps ops, int layer, int scale, Tensor k, Tensor v) {
    int start = shape.schedule().offset(scale);
    Tensor keys = keys(layer);
    Tensor values = values(layer);
    if (isLast(scale)) {
      Stored earlier = new Stored(keys.narrow(2, 0, start), values.narrow(2, 0, start));
      if (ops.joinsKeys()) {
        meter.add(k, v, earlier.keys, earlier.values, k, v);
      } else {
        meter.add(k, v);
      }
      return earlier;
    }
    meter.add(k, v);
    ops.append(keys, values, start, k, v);
    int seen = start + shape.schedule().tokens(scale);
    return new Stored(keys.narrow(2, 0, seen), values.narrow(2, 0, seen));
  }

  /** Stored keys of all layers [layers, batch, heads, cached tokens, head_dim]; a view. */
  public Tensor keys() {
    return arena.select(1, 0);
  }

  /** Stored values of all layers, same shape; a view. */
  public Tensor values() {
    return arena.select(1, 1);
  }

  /** Stored keys of a layer [batch, heads, cached tokens, head_dim]; a view. */
  public Tensor keys(int layer) {
    return arena.select(0, layer).select(0, 0);
  }

  /** Stored values of a layer, same shape; a view. */
  public Tensor values(int layer) {
    return arena.select(0, layer).select(0, 1);
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
