package io.heatkv.calibrate;

import io.heatkv.cache.KvShape;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.schedule.PromptStatistics;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Measures what peers of HeatKV are calibrated by, on the first row, in float32.
 *
 * <ul>
 *   <li>ScaleKV's attention selectivity index (arXiv 2505.19602, equation 2): mean over queries of
 *       the attention to the current scale, times mean over queries of the largest 16 to earlier
 *       tokens (the paper leaves K' open), means over heads too.
 *   <li>HACK's column variance (arXiv 2504.09261): at the last scale, the variance over queries of
 *       the attention to a key, summed over keys.
 *   <li>AMS-KV's distance (arXiv 2511.16047) between a scale's keys and the ones of the scale
 *       before, enlarged linearly; here squared and relative to the squares of both, mean over
 *       scales.
 * </ul>
 *
 * <p>The first two take 16 queries of each scale, which keeps the matrix of probabilities small.
 */
final class AttentionProbe implements AutoCloseable {
  private static final int QUERIES = 16;
  private static final int TOP = 16;
  // Numbers of one layer at one scale: current, history, and norms of fine, enlarged, difference.
  private static final int NUMBERS = 5;

  private final KvShape shape;
  private final SampledQueries queries;
  // Of each scale, what enlarges the rows and the columns of the scale before.
  private final List<Tensor> rows = new ArrayList<>();
  private final List<Tensor> columns = new ArrayList<>();
  // Of each layer: the numbers of each scale but the first, and the variance of each head.
  private final LayerNumbers numbers = new LayerNumbers();
  private final LayerNumbers variances = new LayerNumbers();

  /**
   * @param storage owns what is kept
   */
  AttentionProbe(Backend backend, Device device, KvShape shape, Scope storage) {
    this.shape = shape;
    queries = new SampledQueries(backend, device, shape, 1, QUERIES, storage);
    try (Scope _ = Scope.open()) {
      for (int scale = 1; scale < shape.grids().count(); scale++) {
        ScaleSize from = shape.grids().size(scale - 1);
        ScaleSize to = shape.grids().size(scale);
        rows.add(storage.adopt(weights(backend, from.height(), to.height()).to(device)));
        columns.add(storage.adopt(weights(backend, from.width(), to.width()).to(device)));
      }
    }
  }

  /** Bytes of the largest intermediate value of a layer: its keys in float32. */
  static long layerBytes(KvShape shape) {
    return (long) shape.heads() * shape.headDim() * shape.grids().totalTokens() * DType.F32.bytes();
  }

  /** Keeps queries of a layer at a scale [heads, tokens, head_dim]. */
  void sample(int layer, int scale, Tensor q) {
    queries.add(layer, scale, q);
  }

  /**
   * Measures the layers from {@code first} on, once all scales are drawn.
   *
   * @param k keys of the last scale [layers, heads, tokens, head_dim]
   * @param keys of all other scales [layers, heads, cached tokens, head_dim]
   */
  void measure(int first, Tensor k, Tensor keys) {
    try (Scope _ = Scope.open()) {
      Tensor sampled = queries.of(first, k.size(0)).to(DType.F32);
      measure(sampled, Ops.cat(2, keys, k).to(DType.F32));
    }
  }

  /** Queries and keys of some layers [layers, heads, queries or tokens of all scales, head_dim]. */
  private void measure(Tensor q, Tensor keys) {
    ScaleGrids grids = shape.grids();
    List<Tensor> all = new ArrayList<>();
    for (int scale = 1; scale < grids.count(); scale++) {
      int start = grids.offset(scale);
      Tensor query = q.narrow(2, queries.start(scale), queries.count(scale));
      Tensor seen = keys.narrow(2, 0, start + grids.tokens(scale));
      Tensor attention = Ops.softmax(Ops.matmul(query, seen.transpose(2, 3)));
      all.add(total(attention.narrow(3, start, grids.tokens(scale))));
      all.add(total(Ops.largest(attention.narrow(3, 0, start), Math.min(TOP, start))));
      Tensor fine = keys.narrow(2, start, grids.tokens(scale));
      Tensor enlarged = enlarged(keys, scale);
      all.add(norm(fine));
      all.add(norm(enlarged));
      all.add(norm(fine.sub(enlarged)));
      if (scale == grids.count() - 1) {
        variances.add(columnVariance(attention));
      }
    }
    numbers.add(Ops.stack(1, all.toArray(Tensor[]::new)));
  }

  private static Tensor total(Tensor attention) {
    return Ops.sum(attention, false, 1, 2, 3);
  }

  /** Of [layers, heads, tokens, head_dim], for each layer. */
  private static Tensor norm(Tensor keys) {
    return Ops.norm(keys.reshape(keys.size(0), keys.size(1), -1), 1, 2);
  }

  /** Of [layers, heads, queries, keys], for each head. */
  private static Tensor columnVariance(Tensor attention) {
    Tensor centred = attention.sub(Ops.mean(attention, true, 2));
    return Ops.sum(Ops.mean(centred.mul(centred), false, 2), false, 2);
  }

  /**
   * Keys of the scale before, enlarged to a scale [layers, heads, tokens, head_dim]. By products
   * for rows and columns: the operator for volumes gives a GPU one thread for all channels of a
   * token.
   */
  private Tensor enlarged(Tensor keys, int scale) {
    ScaleSize from = shape.grids().size(scale - 1);
    ScaleSize to = shape.grids().size(scale);
    long maps = keys.size(0) * keys.size(1);
    long dim = keys.size(3);
    Tensor coarse =
        keys.narrow(2, shape.grids().offset(scale - 1), from.tokens())
            .reshape(maps, from.height(), from.width() * dim);
    Tensor higher =
        Ops.matmul(rows.get(scale - 1), coarse).reshape(maps * to.height(), from.width(), dim);
    return Ops.matmul(columns.get(scale - 1), higher)
        .reshape(keys.size(0), keys.size(1), to.tokens(), dim);
  }

  /** Linear interpolation of a line without aligned corners, as a matrix [to, from]. */
  private static Tensor weights(Backend backend, int from, int to) {
    float[] weights = new float[to * from];
    for (int i = 0; i < to; i++) {
      double place = Math.max(0, (i + 0.5) * from / to - 0.5);
      int before = Math.min((int) place, from - 1);
      int after = Math.min(before + 1, from - 1);
      weights[i * from + before] += (float) (1 - (place - before));
      weights[i * from + after] += (float) (place - before);
    }
    return Tensor.of(backend, weights, to, from);
  }

  /** What was measured, once the last scale is drawn. */
  PromptStatistics statistics() {
    int scales = shape.grids().count();
    double[][] selectivity = new double[scales][shape.layers()];
    double[][] variance = new double[shape.layers()][];
    double[] distance = new double[shape.layers()];
    double[] measured = numbers.take();
    double[] heads = variances.take();
    for (int l = 0; l < shape.layers(); l++) {
      for (int scale = 1; scale < scales; scale++) {
        int at = (l * (scales - 1) + scale - 1) * NUMBERS;
        double sampled = (double) shape.heads() * queries.count(scale);
        selectivity[scale][l] = measured[at] / sampled * (measured[at + 1] / sampled);
        double squares = square(measured[at + 2]) + square(measured[at + 3]);
        distance[l] += squares == 0 ? 0 : square(measured[at + 4]) / squares / (scales - 1);
      }
      variance[l] = Arrays.copyOfRange(heads, l * shape.heads(), (l + 1) * shape.heads());
    }
    return new PromptStatistics(selectivity, variance, distance);
  }

  private static double square(double value) {
    return value * value;
  }

  @Override
  public void close() {
    numbers.close();
    variances.close();
  }
}
