package io.heatkv.calibrate;

import io.heatkv.cache.KvShape;
import io.heatkv.scale.ScaleGrids;
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
 * <p>No probabilities are materialised: attention to the keys of earlier scales with values that
 * are 1 in the channel of their scale and 0 in all others gives each scale's share of it in its
 * channel; the log-sum-exps of earlier scores and of all scores turn shares into masses. One call
 * measures as many scales as a head has channels.
 */
final class MassProbe implements AutoCloseable {
  private final KvShape shape;
  private final int sinkScales;
  // Each [1, heads, cached tokens after the sink scales, head_dim], for head_dim scales.
  private final List<Tensor> indicators = new ArrayList<>();
  private final long mostBytes;
  // Of the layers that are summed up next: shares of each source [1, heads, tokens, sources], and
  // log-sum-exps of earlier and of all scores [1, heads, tokens].
  private final List<Tensor> shares = new ArrayList<>();
  private final List<Tensor> earlier = new ArrayList<>();
  private final List<Tensor> all = new ArrayList<>();
  private Scope waiting = Scope.detached();
  // Masses of the scale at hand, [heads, sources] of each layer.
  private final LayerNumbers masses = new LayerNumbers();

  /**
   * @param mostBytes of attention outputs whose layers are summed up together: the host takes as
   *     long for many as for one
   * @param storage owns what is kept
   */
  MassProbe(
      Backend backend,
      Device device,
      KvShape shape,
      int sinkScales,
      long mostBytes,
      Scope storage) {
    this.shape = shape;
    this.sinkScales = sinkScales;
    this.mostBytes = mostBytes;
    ScaleGrids grids = shape.grids();
    int sinks = grids.offset(sinkScales);
    try (Scope _ = Scope.open()) {
      for (int first = sinkScales; first < grids.count() - 1; first += shape.headDim()) {
        Tensor indicator =
            storage.adopt(
                Tensor.full(
                    backend,
                    0,
                    shape.dtype(),
                    device,
                    1,
                    shape.heads(),
                    grids.cachedTokens() - sinks,
                    shape.headDim()));
        int end = Math.min(first + shape.headDim(), grids.count() - 1);
        for (int source = first; source < end; source++) {
          backend.fill(
              indicator
                  .narrow(2, grids.offset(source) - sinks, grids.tokens(source))
                  .narrow(3, source - first, 1),
              1);
        }
        indicators.add(indicator);
      }
    }
  }

  /**
   * Observes one layer at a scale after the sink scales.
   *
   * @param q queries [rows, heads, tokens, head_dim]
   * @param lse log-sum-exp of all scores of each query [rows, heads, tokens]
   * @param cached keys of all earlier scales [rows, heads, cached tokens, head_dim]
   */
  void observe(int layer, int scale, Tensor q, Tensor lse, Tensor cached) {
    int sinks = shape.grids().offset(sinkScales);
    int entries = shape.grids().offset(scale) - sinks;
    try (Scope _ = Scope.open()) {
      Tensor query = q.narrow(0, 0, 1);
      Tensor keys = cached.narrow(0, 0, 1).narrow(2, sinks, entries);
      DeviceOps ops = q.backend().ops(q.device());
      List<Tensor> parts = new ArrayList<>();
      int left = scale - sinkScales;
      for (Tensor indicator : indicators.subList(0, Math.ceilDiv(left, shape.headDim()))) {
        Ops.AttentionParts part =
            ops.attentionWithLse(query, keys, indicator.narrow(2, 0, entries), 1);
        parts.add(part.output().narrow(3, 0, Math.min(left, shape.headDim())));
        left -= shape.headDim();
        if (parts.size() == 1) {
          earlier.add(waiting.adopt(part.lse()));
        }
      }
      shares.add(waiting.adopt(parts.size() == 1 ? parts.getFirst() : Ops.cat(3, parts)));
      all.add(waiting.adopt(lse.narrow(0, 0, 1)));
      long bytes = query.count() * shape.dtype().bytes();
      if (layer == shape.layers() - 1 || (shares.size() + 1) * bytes > mostBytes) {
        sum();
      }
    }
  }

  private void sum() {
    Tensor each = Ops.cat(0, shares).to(DType.F32);
    Tensor weights = Ops.exp(Ops.cat(0, earlier).sub(Ops.cat(0, all))).unsqueeze(2);
    masses.add(Ops.matmul(weights, each).select(2, 0).mul(1.0 / each.size(2)));
    shares.clear();
    earlier.clear();
    all.clear();
    waiting.close();
    waiting = Scope.detached();
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
    waiting.close();
  }
}
