package io.heatkv.calibrate;

import io.heatkv.cache.FullCache;
import io.heatkv.cache.KvCache;
import io.heatkv.cache.KvMemory;
import io.heatkv.cache.KvShape;
import io.heatkv.schedule.PromptStatistics;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.Ops.AttentionParts;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A full cache that measures what HeatKV and its peers are calibrated by: attention masses at every
 * scale after the sink scales; at the last scale, what removing an atom and storing it at each
 * level costs, and the statistics of peers. The picture is drawn by the plain attention, so that
 * its bits are those of a plain generation.
 */
public final class ObservedCache implements KvCache {
  // Of a device with memory of its own; on the CPU, layers one by one stay in its caches.
  private static final long PROBED_BYTES = 1L << 29;

  private final FullCache cache;
  private final KvShape shape;
  private final int sinkScales;
  private final MassListener listener;
  private final Scope storage = Scope.detached();
  private final MassProbe mass;
  private final RemovalProbe removal;
  private final LevelProbe levels;
  private final @Nullable AttentionProbe peers;
  // Keys and values of the last scale, of the layers that are measured next
  // [2, layers, heads, tokens, head_dim].
  private final Tensor own;
  private int waiting;

  /**
   * A cache that measures what HeatKV and its peers are calibrated by.
   *
   * @param sinkScales first scales, which are never removed and so not measured
   */
  public ObservedCache(
      Backend backend, Device device, KvShape shape, int sinkScales, MassListener listener) {
    this(backend, device, shape, sinkScales, listener, true);
  }

  /**
   * As above.
   *
   * @param peers whether to measure what peers need too, which takes longer
   */
  public ObservedCache(
      Backend backend,
      Device device,
      KvShape shape,
      int sinkScales,
      MassListener listener,
      boolean peers) {
    this(backend, device, shape, sinkScales, listener, peers, device.isCuda() ? PROBED_BYTES : 0);
  }

  /**
   * As above.
   *
   * @param mostBytes of intermediate values whose layers are measured together: the host takes as
   *     long for many as for one
   */
  ObservedCache(
      Backend backend,
      Device device,
      KvShape shape,
      int sinkScales,
      MassListener listener,
      boolean peers,
      long mostBytes) {
    this.cache = new FullCache(backend, device, shape);
    this.shape = shape;
    this.sinkScales = sinkScales;
    this.listener = listener;
    try (Scope _ = Scope.open()) {
      this.mass = new MassProbe(backend, device, shape, sinkScales, mostBytes, storage);
      this.removal = new RemovalProbe(backend, device, shape, sinkScales, storage);
      this.levels = new LevelProbe(backend, device, shape, storage);
      this.peers = peers ? new AttentionProbe(backend, device, shape, storage) : null;
      long layer =
          Math.max(
              levels.layerBytes(),
              Math.max(removal.layerBytes(), AttentionProbe.layerBytes(shape)));
      own =
          storage.adopt(
              Tensor.empty(
                  backend,
                  shape.dtype(),
                  device,
                  2,
                  Math.clamp(mostBytes / layer, 1, shape.layers()),
                  shape.heads(),
                  shape.grids().last().tokens(),
                  shape.headDim()));
    } catch (RuntimeException | Error e) {
      storage.close();
      cache.close();
      throw e;
    }
  }

  /**
   * Bytes of a GPU that measuring takes besides the cache, at most: by measurement seven times the
   * values of the layers that are measured together.
   */
  public static long scratchBytes(KvShape shape) {
    long layer = Math.max(AttentionProbe.layerBytes(shape), LevelEntries.layerBytes(shape));
    return 7 * Math.clamp(PROBED_BYTES, layer, shape.layers() * layer);
  }

  @Override
  public DeviceOps.@Nullable Place place(int layer, int scale) {
    return cache.place(layer, scale);
  }

  @Override
  public Tensor attend(int layer, int scale, Tensor q, Tensor k, Tensor v) {
    AttentionParts attended = cache.attendWithLse(layer, scale, q, k, v);
    if (scale > sinkScales) {
      mass.observe(layer, scale, q, attended.lse(), cache.keys(layer));
      if (layer == shape.layers() - 1) {
        listener.scaleObserved(scale, mass.take(scale));
      }
    }
    try (Scope _ = Scope.open()) {
      Tensor query = q.select(0, 0);
      removal.sample(layer, scale, query);
      levels.sample(layer, scale, query);
      if (peers != null) {
        peers.sample(layer, scale, query);
      }
      if (scale == shape.grids().count() - 1) {
        own.select(0, 0).select(0, waiting).copyFrom(k.select(0, 0));
        own.select(0, 1).select(0, waiting).copyFrom(v.select(0, 0));
        waiting++;
        if (waiting == own.size(1) || layer == shape.layers() - 1) {
          measure(layer + 1 - waiting);
          waiting = 0;
        }
      }
    }
    return attended.output();
  }

  /** Measures the waiting layers, of which {@code first} is the first. */
  private void measure(int first) {
    Tensor keys = cache.keys().select(0, 0).narrow(0, first, waiting);
    Tensor values = cache.values().select(0, 0).narrow(0, first, waiting);
    Tensor k = own.select(0, 0).narrow(0, 0, waiting);
    Tensor v = own.select(0, 1).narrow(0, 0, waiting);
    removal.measure(first, k, v, keys, values);
    levels.measure(first, k, v, keys, values);
    if (peers != null) {
      peers.measure(first, k, keys);
    }
  }

  /** Statistics of all scales, once the last one is drawn; empty where they aren't measured. */
  public Optional<PromptStatistics> statistics() {
    return Optional.ofNullable(peers).map(AttentionProbe::statistics);
  }

  /** Cost of removing each atom [source][layer][head], once the last scale is drawn. */
  public double[][][] removalCosts() {
    return removal.costs();
  }

  /**
   * Cost of every level of each atom [source][layer][head][level], once the last scale is drawn;
   * level 0 is dropped, then come those of {@link io.heatkv.schedule.Level#ALL}.
   */
  public double[][][][] levelCosts() {
    return levels.costs();
  }

  @Override
  public void removeRows(int first, int count) {
    throw new UnsupportedOperationException("a prompt is observed alone");
  }

  @Override
  public KvMemory memory() {
    return cache.memory();
  }

  @Override
  public void close() {
    mass.close();
    removal.close();
    levels.close();
    if (peers != null) {
      peers.close();
    }
    storage.close();
    cache.close();
  }
}
