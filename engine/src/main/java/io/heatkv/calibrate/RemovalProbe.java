package io.heatkv.calibrate;

import io.heatkv.cache.KvShape;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;

/**
 * Measures what it costs to remove an atom: how far that moves its head's output for later scales.
 *
 * <p>Squares of the change are means over channels and the queries of all later scales. A scale is
 * judged twice, and the mean of both counts: as the only one removed from the full cache, where it
 * may be of no use beside the others; and in the company of smaller scales alone, the usual company
 * under a small budget, by how much nearer it brings the output to that over everything. Of the
 * first row, at some queries of each scale.
 *
 * <p>All follows from attention to each scale alone, its output {@code o_s} and log-sum-exp: with
 * the weights {@code w_s} of the scales and their whole output {@code o}, an output without the
 * scales of a set differs from o by {@code sum over the set of w_s (o_s - o) / (1 - sum of w_s)}.
 */
final class RemovalProbe implements AutoCloseable {
  private static final int QUERIES = 64;
  // Keeps rounding in check where nearly all attention is on one scale.
  private static final double LEAST_REST = 1e-6;
  // The current scale and the sink scales, which stay.
  private static final int STAYING = 2;

  private final KvShape shape;
  private final int sinkScales;
  private final int sources;
  private final SampledQueries queries;
  // Of each query, its share of its scale's tokens over all queries' tokens [queries, 1].
  private final Tensor shares;
  // Ones where scale j is no larger than the staying ones or smaller than source i [j, i].
  private final Tensor smaller;
  // Ones where source j is source i or larger [i, j].
  private final Tensor missing;
  // Of each layer, squares [2, sources, heads]: without a source and all larger ones; without it.
  private final LayerNumbers squares = new LayerNumbers();

  /**
   * @param storage owns what is kept
   */
  RemovalProbe(Backend backend, Device device, KvShape shape, int sinkScales, Scope storage) {
    this.shape = shape;
    this.sinkScales = sinkScales;
    ScaleGrids grids = shape.grids();
    sources = grids.count() - 1 - sinkScales;
    queries = new SampledQueries(backend, device, shape, sinkScales + 1, QUERIES, storage);
    try (Scope _ = Scope.open()) {
      shares = storage.adopt(shares(backend).to(device));
      float[] kept = new float[(STAYING + sources) * sources];
      float[] gone = new float[sources * sources];
      for (int i = 0; i < sources; i++) {
        for (int j = 0; j < STAYING + sources; j++) {
          kept[j * sources + i] = j < STAYING + i ? 1 : 0;
        }
        for (int j = i; j < sources; j++) {
          gone[i * sources + j] = 1;
        }
      }
      smaller = storage.adopt(Tensor.of(backend, kept, STAYING + sources, sources).to(device));
      missing = storage.adopt(Tensor.of(backend, gone, sources, sources).to(device));
    }
  }

  private Tensor shares(Backend backend) {
    ScaleGrids grids = shape.grids();
    int last = grids.count() - 1;
    int all = grids.totalTokens() - grids.offset(sinkScales + 1);
    float[] each = new float[queries.start(last) + queries.count(last)];
    for (int scale = sinkScales + 1; scale <= last; scale++) {
      for (int i = 0; i < queries.count(scale); i++) {
        each[queries.start(scale) + i] =
            (float) ((double) grids.tokens(scale) / queries.count(scale) / all);
      }
    }
    return Tensor.of(backend, each, each.length, 1);
  }

  /** Bytes of the largest intermediate value of a layer. */
  long layerBytes() {
    int last = shape.grids().count() - 1;
    long each = (long) shape.heads() * (queries.start(last) + queries.count(last));
    return each * (STAYING + sources) * shape.headDim() * DType.F32.bytes();
  }

  /** Keeps queries of a layer at a scale [heads, tokens, head_dim]. */
  void sample(int layer, int scale, Tensor q) {
    queries.add(layer, scale, q);
  }

  /**
   * Measures the layers from {@code first} on, once all scales are drawn.
   *
   * @param k keys of the last scale [layers, heads, tokens, head_dim]
   * @param v values, same shape
   * @param keys of all other scales [layers, heads, cached tokens, head_dim]
   * @param values same shape
   */
  void measure(int first, Tensor k, Tensor v, Tensor keys, Tensor values) {
    try (Scope _ = Scope.open()) {
      ScaleParts parts = new ScaleParts(queries.of(first, k.size(0)), STAYING + sources);
      ScaleGrids grids = shape.grids();
      int last = grids.count() - 1;
      parts.add(0, queries.start(last), queries.count(last), k, v);
      if (sinkScales > 0) {
        int sinks = grids.offset(sinkScales);
        parts.add(1, 0, 0, keys.narrow(2, 0, sinks), values.narrow(2, 0, sinks));
      }
      for (int s = sinkScales; s < last; s++) {
        int start = grids.offset(s);
        int tokens = grids.tokens(s);
        parts.add(
            STAYING + s - sinkScales,
            queries.start(s),
            queries.count(s),
            keys.narrow(2, start, tokens),
            values.narrow(2, start, tokens));
      }
      squares.add(squares(parts));
    }
  }

  /** Squares of the changes, sums over queries by their shares [layers, 2, sources, heads]. */
  private Tensor squares(ScaleParts parts) {
    Tensor weights = parts.weights();
    Tensor whole = Ops.matmul(weights.unsqueeze(3), parts.outputs());
    Tensor weight = weights.narrow(3, STAYING, sources);
    Tensor moves = parts.outputs().narrow(3, STAYING, sources).sub(whole).mul(weight.unsqueeze(4));
    Tensor rest = weight.mul(-1).add(1 + LEAST_REST);
    Tensor alone = Ops.norm(moves, 4).div(rest);
    Tensor present = Ops.matmul(weights, smaller).add(Float.MIN_NORMAL);
    Tensor nearer = Ops.norm(Ops.matmul(missing, moves), 4).div(present);
    Tensor changes = Ops.stack(1, nearer, alone);
    Tensor sums = Ops.matmul(changes.mul(changes).transpose(3, 4), shares);
    return sums.select(4, 0).transpose(2, 3).mul(1.0 / shape.headDim());
  }

  /** Costs [source][layer][head], once the last scale is drawn. */
  double[][][] costs() {
    int heads = shape.heads();
    double[][][] costs = new double[sinkScales + sources][shape.layers()][heads];
    double[] measured = squares.take();
    for (int l = 0; l < shape.layers(); l++) {
      for (int i = 0; i < sources * heads; i++) {
        int here = 2 * l * sources * heads + i;
        double next = i + heads < sources * heads ? measured[here + heads] : 0;
        double alone = measured[here + sources * heads];
        costs[sinkScales + i / heads][l][i % heads] = (measured[here] - next + alone) / 2;
      }
    }
    return costs;
  }

  @Override
  public void close() {
    squares.close();
  }
}
