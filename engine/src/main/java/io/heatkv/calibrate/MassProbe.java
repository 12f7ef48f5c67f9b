package io.heatkv.calibrate;

import io.heatkv.cache.FullCache;
import io.heatkv.cache.KvShape;
import io.heatkv.scale.ScaleSchedule;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * Measures attention mass (S-CAS of the paper, capture_scas of the reference): {@code mass(s) =
 * mean over queries of sum over keys of scale s of softmax(q k^T)}, of the first row.
 *
 * <p>No probabilities are materialised: attention to values that are 1 in the channel of their
 * scale and 0 in all others gives the mass of each scale in its channel. One call measures as many
 * scales as a head has channels.
 */
final class MassProbe implements AutoCloseable {
  private final KvShape shape;
  private final int sinkScales;
  private final Scope storage = Scope.detached();
  // Each [1, heads, cached tokens, head_dim], for head_dim scales from the sink scales on.
  private final List<Tensor> indicators = new ArrayList<>();
  private final Tensor nothing;
  // Masses of the scale at hand, [heads, sources] of each layer.
  private final LayerNumbers masses = new LayerNumbers();

  MassProbe(Backend backend, Device device, KvShape shape, int sinkScales) {
    this.shape = shape;
    this.sinkScales = sinkScales;
    ScaleSchedule schedule = shape.schedule();
    try (Scope _ = Scope.open()) {
      for (int first = sinkScales; first < schedule.count() - 1; first += shape.headDim()) {
        Tensor indicator = zeros(backend, device, schedule.cachedTokens());
        int end = Math.min(first + shape.headDim(), schedule.count() - 1);
        for (int source = first; source < end; source++) {
          backend.fill(
              indicator
                  .narrow(2, schedule.offset(source), schedule.tokens(source))
                  .narrow(3, source - first, 1),
              1);
        }
        indicators.add(indicator);
      }
      nothing = zeros(backend, device, schedule.tokens(schedule.count() - 1));
    }
  }

  private Tensor zeros(Backend backend, Device device, int tokens) {
    return storage.adopt(
        Tensor.full(backend, 0, shape.dtype(), device, 1, shape.heads(), tokens, shape.headDim()));
  }

  /**
   * Observes one layer at a scale after the sink scales.
   *
   * @param q queries [rows, heads, tokens, head_dim]
   * @param k keys of the scale, same shape
   * @param cache with all earlier keys, and the scale's own unless it is the last
   */
  void observe(int layer, int scale, Tensor q, Tensor k, FullCache cache) {
    try (Scope _ = Scope.open()) {
      Tensor query = q.narrow(0, 0, 1);
      Tensor keys = cache.keys(layer).narrow(0, 0, 1);
      List<Tensor> parts = new ArrayList<>();
      int left = scale - sinkScales;
      for (Tensor indicator : indicators) {
        Tensor attended = attend(scale, query, k.narrow(0, 0, 1), keys, indicator);
        int measured = Math.min(left, shape.headDim());
        parts.add(attended.narrow(3, 0, measured).to(DType.F32));
        left -= measured;
        if (left == 0) {
          break;
        }
      }
      masses.add(Ops.mean(Ops.cat(3, parts), false, 2).select(0, 0));
    }
  }

  private Tensor attend(int scale, Tensor q, Tensor k, Tensor keys, Tensor values) {
    DeviceOps ops = q.backend().ops(q.device());
    int start = shape.schedule().offset(scale);
    if (scale == shape.schedule().count() - 1) {
      return ops.attentionOverBoth(
          q, k, nothing, keys.narrow(2, 0, start), values.narrow(2, 0, start), 1);
    }
    int seen = start + shape.schedule().tokens(scale);
    return ops.attention(q, keys.narrow(2, 0, seen), values.narrow(2, 0, seen), 1);
  }

  /** Masses at a scale [source][layer][head], once all layers are observed; null for sinks. */
  double[][][] take(int scale) {
    int sources = scale - sinkScales;
    double[] all = masses.take();
    double[][][] mass = new double[scale][][];
    for (int s = 0; s < sources; s++) {
      double[][] source = new double[shape.layers()][shape.heads()];
      for (int i = 0; i < shape.layers() * shape.heads(); i++) {
        source[i / shape.heads()][i % shape.heads()] = all[i * sources + s];
      }
      mass[sinkScales + s] = source;
    }
    return mass;
  }

  @Override
  public void close() {
    masses.close();
    storage.close();
  }
}
