package io.heatkv.cache;

import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.Ops.AttentionParts;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Keeps everything, as the models were trained: the baseline. The last scale is never stored.
 *
 * <p>Slots lie in the order of layers, heads and tokens, so that attention reads them where they
 * are.
 */
public final class FullCache implements KvCache {
  private final KvShape shape;
  private final DeviceOps ops;
  private final KvStore store;
  private final Scope views = Scope.detached();
  // [layer]: [batch, heads, cached tokens, head_dim]
  private final Tensor[] keys;
  private final Tensor[] values;

  public FullCache(Backend backend, Device device, KvShape shape) {
    this.shape = shape;
    ops = backend.ops(device);
    int tokens = shape.grids().cachedTokens();
    long layerSlots = (long) shape.heads() * tokens;
    store = new KvStore(backend, device, shape, KvStorage.NATIVE, shape.layers() * layerSlots);
    keys = new Tensor[shape.layers()];
    values = new Tensor[shape.layers()];
    try (Scope _ = Scope.open()) {
      for (int l = 0; l < keys.length; l++) {
        keys[l] = views.adopt(store.keys(l * layerSlots, shape.heads(), tokens));
        values[l] = views.adopt(store.values(l * layerSlots, shape.heads(), tokens));
      }
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  @Override
  public DeviceOps.@Nullable Place place(int layer, int scale) {
    if (isLast(scale)) {
      return null;
    }
    int start = shape.grids().offset(scale);
    int tokens = shape.grids().tokens(scale);
    return new DeviceOps.Place(
        keys(layer).narrow(2, start, tokens), values(layer).narrow(2, start, tokens));
  }

  @Override
  public Tensor attend(int layer, int scale, Tensor q, Tensor k, Tensor v) {
    Stored stored = store(layer, scale, k, v);
    return isLast(scale)
        ? ops.attentionOverBoth(q, k, v, stored.keys, stored.values, 1)
        : ops.attention(q, stored.keys, stored.values, 1);
  }

  /** As {@link #attend}, to the last bit, with the log-sum-exp of each query's scores [b, h, n]. */
  public AttentionParts attendWithLse(int layer, int scale, Tensor q, Tensor k, Tensor v) {
    Stored stored = store(layer, scale, k, v);
    return isLast(scale)
        ? ops.attentionOverBothWithLse(q, k, v, stored.keys, stored.values, 1)
        : ops.attentionWithLse(q, stored.keys, stored.values, 1);
  }

  @Override
  public Object repeatKey(int scale) {
    return List.of(shape, store.repeatKey());
  }

  private boolean isLast(int scale) {
    return scale == shape.grids().count() - 1;
  }

  /** What a scale sees of the store: all scales up to it, or before it if it is the last. */
  private record Stored(Tensor keys, Tensor values) {}

  private Stored store(int layer, int scale, Tensor k, Tensor v) {
    int start = shape.grids().offset(scale);
    int seen = start + shape.grids().tokens(scale);
    Tensor layerKeys = keys(layer);
    Tensor layerValues = values(layer);
    if (isLast(scale)) {
      store.note(k, v, ops.joinsKeys() ? (long) shape.heads() * seen : 0);
      seen = start;
    } else {
      store.note(k, v, 0);
      if (k.address() != layerKeys.narrow(2, start, 1).address()) {
        ops.append(layerKeys, layerValues, start, k, v);
      }
    }
    return new Stored(layerKeys.narrow(2, 0, seen), layerValues.narrow(2, 0, seen));
  }

  /** Stored keys of all layers [rows, layers, heads, cached tokens, head_dim]; a view. */
  public Tensor keys() {
    return layers(store.keys(0, allHeads(), shape.grids().cachedTokens()));
  }

  /** Stored values of all layers, same shape; a view. */
  public Tensor values() {
    return layers(store.values(0, allHeads(), shape.grids().cachedTokens()));
  }

  private long allHeads() {
    return (long) shape.layers() * shape.heads();
  }

  private Tensor layers(Tensor heads) {
    return heads.reshape(
        heads.size(0), shape.layers(), shape.heads(), heads.size(2), heads.size(3));
  }

  /** Stored keys of a layer [rows, heads, cached tokens, head_dim]; a view. */
  public Tensor keys(int layer) {
    return keys[layer].narrow(0, 0, store.rows());
  }

  private Tensor values(int layer) {
    return values[layer].narrow(0, 0, store.rows());
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
    return store.memory();
  }

  @Override
  public void close() {
    views.close();
    store.close();
  }
}
