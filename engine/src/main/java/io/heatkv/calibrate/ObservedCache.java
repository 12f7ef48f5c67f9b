package io.heatkv.calibrate;

import io.heatkv.cache.FullCache;
import io.heatkv.cache.KvCache;
import io.heatkv.cache.KvMemory;
import io.heatkv.cache.KvShape;
import io.heatkv.schedule.PromptStatistics;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A full cache that measures what HeatKV and its peers are calibrated by: attention masses at every
 * scale after the sink scales; at the last scale, what removing an atom costs, and the statistics
 * of peers. The picture is drawn by the plain attention, so that its bits are those of a plain
 * generation.
 */
public final class ObservedCache implements KvCache {
  private static final long PROBED_BYTES = 1L << 28;

  private final FullCache cache;
  private final KvShape shape;
  private final int sinkScales;
  private final MassListener listener;
  private final MassProbe mass;
  private final RemovalProbe removal;
  private final @Nullable AttentionProbe peers;

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
    this.cache = new FullCache(backend, device, shape);
    this.shape = shape;
    this.sinkScales = sinkScales;
    this.listener = listener;
    this.mass = new MassProbe(backend, device, shape, sinkScales);
    this.removal = new RemovalProbe(backend, device, shape, sinkScales);
    this.peers = peers ? new AttentionProbe(backend, device, shape, PROBED_BYTES) : null;
  }

  @Override
  public Tensor attend(int layer, int scale, Tensor q, Tensor k, Tensor v) {
    Tensor attended = cache.attend(layer, scale, q, k, v);
    if (scale > sinkScales) {
      mass.observe(layer, scale, q, k, cache);
      if (layer == shape.layers() - 1) {
        listener.scaleObserved(scale, mass.take(scale));
      }
    }
    try (Scope _ = Scope.open()) {
      Tensor query = q.select(0, 0);
      Tensor key = k.select(0, 0);
      Tensor keys = cache.keys(layer).select(0, 0);
      removal.observe(
          layer, scale, query, key, v.select(0, 0), keys, cache.values(layer).select(0, 0));
      if (peers != null) {
        peers.observe(layer, scale, query, key, cache.keys().select(1, 0));
      }
    }
    return attended;
  }

  /** Statistics of all scales, once the last one is drawn; empty where they aren't measured. */
  public Optional<PromptStatistics> statistics() {
    return Optional.ofNullable(peers).map(AttentionProbe::statistics);
  }

  /** Cost of removing each atom [source][layer][head], once the last scale is drawn. */
  public double[][][] removalCosts() {
    return removal.costs();
  }

  @Override
  public KvMemory memory() {
    return cache.memory();
  }

  @Override
  public void close() {
    mass.close();
    removal.close();
    if (peers != null) {
      peers.close();
    }
    cache.close();
  }
}
