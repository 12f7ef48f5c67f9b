package io.heatkv.cache;

import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;

/** Keeps everything, as the models were trained: the baseline. The last scale is never stored. */
public final class FullCache implements KvCache {
  private final KvShape shape;
  private final Scope storage = Scope.detached();
  // [layers, 2, batch, heads, cached tokens, head_dim]; index 0 keys, 1 values.
  private final Tensor arena;

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
    Tensor keys = arena.select(0, layer).select(0, 0);
    Tensor values = arena.select(0, layer).select(0, 1);
    if (scale == shape.schedule().count() - 1) {
      return Ops.attention(q, joined(keys, start, k), joined(values, start, v), null, 1);
    }
    keys.narrow(2, start, tokens).copyFrom(k);
    values.narrow(2, start, tokens).copyFrom(v);
    return Ops.attention(
        q, keys.narrow(2, 0, start + tokens), values.narrow(2, 0, start + tokens), null, 1);
  }

  private static Tensor joined(Tensor stored, int count, Tensor current) {
    return Ops.cat(2, stored.narrow(2, 0, count), current);
  }

  @Override
  public long bytes() {
    return shape.fullBytes();
  }

  @Override
  public void close() {
    storage.close();
  }
}
