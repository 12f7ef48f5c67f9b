package io.heatkv.calibrate;

import io.heatkv.cache.FullCache;
import io.heatkv.cache.KvCache;
import io.heatkv.cache.KvMemory;
import io.heatkv.cache.KvShape;
import io.heatkv.scale.ScaleSchedule;
import io.heatkv.schedule.PromptStatistics;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A full cache that measures attention mass (S-CAS of the paper, capture_scas of the reference):
 * for the first row, and every scale from the first after the sink scales on, {@code mass(s) = mean
 * over queries of sum over keys of scale s of softmax(q k^T)}.
 *
 * <p>No probabilities are materialised: attention over the keys of one scale also gives the
 * log-sum-exp of its scores, and the mass is {@code exp(lse of the scale - lse of all)}. The
 * picture is drawn by the plain attention, so that its bits are those of a plain generation.
 */
public final class ObservedCache implements KvCache {
  private final FullCache cache;
  private final KvShape shape;
  private final int sinkScales;
  private final MassListener listener;
  private final @Nullable AttentionProbe probe;
  private final RemovalProbe removal;
  // Masses of the scale at hand, [sources, heads] of each layer.
  private final LayerNumbers masses = new LayerNumbers();

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
    this.probe = peers ? new AttentionProbe(shape) : null;
    this.removal = new RemovalProbe(shape, sinkScales);
  }

  @Override
  public Tensor attend(int layer, int scale, Tensor q, Tensor k, Tensor v) {
    Tensor attended = cache.attend(layer, scale, q, k, v);
    if (scale > sinkScales || (probe != null && scale > 0)) {
      sample(layer, scale, q.select(0, 0), k.select(0, 0), v.select(0, 0));
    }
    if (scale > sinkScales) {
      try (Scope _ = Scope.open()) {
        masses.add(mass(layer, scale, q, k, v));
      }
      if (layer == shape.layers() - 1) {
        report(scale);
      }
    }
    return attended;
  }

  /** What some queries of the first row tell, each [heads, tokens, head_dim]. */
  private void sample(int layer, int scale, Tensor q, Tensor k, Tensor v) {
    try (Scope _ = Scope.open()) {
      Tensor stored = cache.keys(layer).select(0, 0);
      Tensor attention =
          AttentionProbe.attention(q, stored.narrow(1, 0, shape.schedule().offset(scale)), k);
      if (probe != null) {
        probe.observe(layer, scale, attention, stored, k);
      }
      if (scale > sinkScales) {
        removal.observe(layer, scale, attention, cache.values(layer).select(0, 0), v);
      }
    }
  }

  /** Masses of one layer, float32 [sources, heads]. */
  private Tensor mass(int layer, int scale, Tensor q, Tensor k, Tensor v) {
    ScaleSchedule schedule = shape.schedule();
    Tensor query = q.narrow(0, 0, 1);
    Tensor keys = cache.keys(layer).narrow(0, 0, 1);
    Tensor values = cache.values(layer).narrow(0, 0, 1);
    List<Tensor> parts = new ArrayList<>();
    for (int source = sinkScales; source < scale; source++) {
      int start = schedule.offset(source);
      int tokens = schedule.tokens(source);
      parts.add(logSumExp(query, keys.narrow(2, start, tokens), values.narrow(2, start, tokens)));
    }
    parts.add(logSumExp(query, k.narrow(0, 0, 1), v.narrow(0, 0, 1)));
    if (sinkScales > 0) {
      int sinks = schedule.offset(sinkScales);
      parts.add(logSumExp(query, keys.narrow(2, 0, sinks), values.narrow(2, 0, sinks)));
    }
    Tensor each = Ops.stack(0, parts.toArray(Tensor[]::new));
    Tensor sources = each.narrow(0, 0, scale - sinkScales);
    return Ops.mean(Ops.exp(sources.sub(Ops.logSumExp(each, 0))), false, -1).select(1, 0);
  }

  private static Tensor logSumExp(Tensor q, Tensor k, Tensor v) {
    Ops.AttentionParts parts = Ops.attentionWithLse(q, k, v, 1);
    parts.output().release();
    return parts.lse();
  }

  private void report(int scale) {
    int sources = scale - sinkScales;
    double[][][] mass = new double[scale][][];
    for (int source = sinkScales; source < scale; source++) {
      mass[source] = new double[shape.layers()][shape.heads()];
    }
    double[] all = masses.take();
    for (int i = 0; i < all.length; i++) {
      int row = i / shape.heads();
      mass[sinkScales + row % sources][row / sources][i % shape.heads()] = all[i];
    }
    listener.scaleObserved(scale, mass);
  }

  /** Statistics of all scales, once the last one is drawn; empty where they aren't measured. */
  public Optional<PromptStatistics> statistics() {
    return Optional.ofNullable(probe).map(AttentionProbe::statistics);
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
    masses.close();
    removal.close();
    if (probe != null) {
      probe.close();
    }
    cache.close();
  }
}
