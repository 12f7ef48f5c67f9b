package io.heatkv.calibrate;

import io.heatkv.cache.KvShape;
import io.heatkv.scale.ScaleSize;
import io.heatkv.schedule.PromptStatistics;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.Arrays;

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
 * <p>The first two take 64 queries evenly spaced over the scale, which keeps the matrix of
 * probabilities small.
 */
final class AttentionProbe implements AutoCloseable {
  private static final int QUERIES = 64;
  private static final int TOP = 16;
  // Numbers of one layer at one scale.
  private static final int NUMBERS = 5;

  private final KvShape shape;
  private final double[][] selectivity;
  private final double[][] variance;
  private final double[] distance;
  // Of the scale at hand: the numbers, and the variance of each head.
  private final LayerNumbers numbers = new LayerNumbers();
  private final LayerNumbers variances = new LayerNumbers();

  AttentionProbe(KvShape shape) {
    this.shape = shape;
    selectivity = new double[shape.schedule().count()][shape.layers()];
    variance = new double[shape.layers()][shape.heads()];
    distance = new double[shape.layers()];
  }

  /**
   * Attention of some queries, in float32.
   *
   * @param q queries of the scale [heads, tokens, head_dim], scaled
   * @param earlier keys of the scales before [heads, earlier tokens, head_dim]
   * @param k keys of the scale [heads, tokens, head_dim]
   * @return [heads, queries, earlier tokens and tokens]
   */
  static Tensor attention(Tensor q, Tensor earlier, Tensor k) {
    try (Scope scope = Scope.open()) {
      Tensor keys = Ops.cat(1, earlier, k).to(DType.F32);
      Tensor queries = Ops.indexSelect(q, 1, spaced(q)).to(DType.F32);
      return scope.keep(Ops.softmax(Ops.matmul(queries, keys.transpose(1, 2))));
    }
  }

  /**
   * Observes one layer at a scale other than the first. What is measured is read once all layers
   * are observed, so that a device needn't wait for each.
   *
   * @param attention of the queries chosen, see {@link #attention}
   * @param stored keys of all scales but the last [heads, cached tokens, head_dim]
   * @param k keys of the scale [heads, tokens, head_dim]
   */
  void observe(int layer, int scale, Tensor attention, Tensor stored, Tensor k) {
    int start = shape.schedule().offset(scale);
    int before = shape.schedule().offset(scale - 1);
    try (Scope _ = Scope.open()) {
      Tensor current = Ops.sum(attention.narrow(2, start, k.size(1)), false, 2);
      Tensor history =
          Ops.sum(Ops.largest(attention.narrow(2, 0, start), Math.min(TOP, start)), false, 2);
      Tensor fine = map(k, shape.schedule().size(scale));
      Tensor coarse =
          map(stored.narrow(1, before, start - before), shape.schedule().size(scale - 1));
      Tensor enlarged = Ops.interpolate(coarse, fine.size(2), fine.size(3));
      numbers.add(
          Ops.stack(
              0,
              Ops.mean(current, false, 0, 1),
              Ops.mean(history, false, 0, 1),
              squares(fine),
              squares(enlarged),
              squares(fine.sub(enlarged))));
      if (scale == shape.schedule().count() - 1) {
        variances.add(columnVariance(attention));
      }
    }
    if (layer == shape.layers() - 1) {
      read(scale);
    }
  }

  private void read(int scale) {
    double[] each = numbers.take();
    for (int l = 0; l < shape.layers(); l++) {
      int at = l * NUMBERS;
      selectivity[scale][l] = each[at] * each[at + 1];
      double squares = each[at + 2] + each[at + 3];
      distance[l] += squares == 0 ? 0 : each[at + 4] / squares;
    }
    if (!variances.isEmpty()) {
      double[] heads = variances.take();
      for (int l = 0; l < shape.layers(); l++) {
        variance[l] = Arrays.copyOfRange(heads, l * shape.heads(), (l + 1) * shape.heads());
      }
    }
  }

  private static Tensor spaced(Tensor q) {
    long tokens = q.size(1);
    long[] chosen = new long[(int) Math.min(QUERIES, tokens)];
    for (int i = 0; i < chosen.length; i++) {
      chosen[i] = i * tokens / chosen.length;
    }
    return Tensor.of(q.backend(), chosen, chosen.length).to(q.device());
  }

  /** Of [heads, queries, keys], for each head. */
  private static Tensor columnVariance(Tensor attention) {
    Tensor centred = attention.sub(Ops.mean(attention, true, 1));
    return Ops.sum(Ops.mean(centred.mul(centred), false, 1), false, 1);
  }

  /** Keys [heads, tokens, head_dim] as a map [1, heads head_dim, rows, columns]. */
  private static Tensor map(Tensor keys, ScaleSize size) {
    return keys.to(DType.F32).transpose(1, 2).reshape(1, -1, size.height(), size.width());
  }

  private static Tensor squares(Tensor map) {
    return Ops.sum(map.mul(map), false, 0, 1, 2, 3);
  }

  /** What was measured, once the last scale is drawn. */
  PromptStatistics statistics() {
    double[] means = new double[distance.length];
    for (int l = 0; l < means.length; l++) {
      means[l] = distance[l] / (shape.schedule().count() - 1);
    }
    return new PromptStatistics(selectivity, variance, means);
  }

  @Override
  public void close() {
    numbers.close();
    variances.close();
  }
}
