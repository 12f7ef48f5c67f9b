package io.heatkv.cache;

import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
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
    int start = shape.schedule().offset(scale);
    int tokens = shape.schedule().tokens(scale);
    Tensor keys = keys(layer);
    Tensor values = values(layer);
    DeviceOps ops = q.backend().ops(q.device());
    if (scale == shape.schedule().count() - 1) {
      Tensor earlierKeys = keys.narrow(2, 0, start);
      Tensor earlierValues = values.narrow(2, 0, start);
      if (ops.joinsKeys()) {
        meter.add(k, v, earlierKeys, earlierValues, k, v);
      } else {
        meter.add(k, v);
      }
      return ops.attentionOverBoth(q, k, v, earlierKeys, earlierValues, 1);
    }
    meter.add(k, v);
    ops.append(keys, values, start, k, v);
    return ops.attention(
        q, keys.narrow(2, 0, start + tokens), values.narrow(2, 0, start + tokens), 1);
  }

  /** Stored keys of all layers [layers, batch, heads, cached tokens, head_dim]; a view. */
  public Tensor keys() {
    return arena.select(1, 0);
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
