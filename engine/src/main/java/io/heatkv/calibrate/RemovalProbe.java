package io.heatkv.calibrate;

import io.heatkv.cache.KvShape;
import io.heatkv.scale.ScaleSchedule;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * Measures what it costs to remove an atom: how far that moves its head's output for later scales.
 *
 * <p>Squares of the change are means over channels and the queries of all later scales. A scale is
 * judged twice, and the mean of both counts: as the only one removed from the full cache, where it
 * may be of no use beside the others; and in the company of smaller scales alone, the usual company
 * under a small budget, by how much nearer it brings the output to that over everything. Of the
 * first row, in float32, at some queries of each scale.
 */
final class RemovalProbe {
  // Keeps rounding in check where nearly all attention is on one scale.
  private static final double LEAST_REST = 1e-6;

  private final KvShape shape;
  private final int sinkScales;
  private final double[][][] costs;

  RemovalProbe(KvShape shape, int sinkScales) {
    this.shape = shape;
    this.sinkScales = sinkScales;
    costs = new double[shape.schedule().count() - 1][shape.layers()][shape.heads()];
  }

  /**
   * Observes one layer at a scale after the first that isn't a sink.
   *
   * @param attention probabilities [heads, queries, tokens up to the scale's], float32
   * @param stored values of all scales but the last [heads, cached tokens, head_dim]
   * @param v values of the scale [heads, tokens, head_dim]
   */
  void observe(int layer, int scale, Tensor attention, Tensor stored, Tensor v) {
    ScaleSchedule schedule = shape.schedule();
    int start = schedule.offset(scale);
    try (Scope _ = Scope.open()) {
      Tensor some = part(attention, start, v);
      if (sinkScales > 0) {
        some = some.add(part(attention, 0, stored.narrow(1, 0, schedule.offset(sinkScales))));
      }
      List<Tensor> parts = new ArrayList<>();
      List<Tensor> outputs = new ArrayList<>();
      for (int s = sinkScales; s < scale; s++) {
        int from = schedule.offset(s);
        parts.add(part(attention, from, stored.narrow(1, from, schedule.tokens(s))));
        outputs.add(output(some));
        some = some.add(parts.getLast());
      }
      Tensor whole = output(some);
      Tensor nearer = whole.sub(Ops.stack(0, outputs.toArray(Tensor[]::new)));
      Tensor alone = changeAlone(whole, Ops.stack(0, parts.toArray(Tensor[]::new)));
      add(layer, scale, squares(nearer), squares(alone));
    }
  }

  /** {@code o - (o - w o_s) / (1 - w)} for parts of weight w and output o_s. */
  private static Tensor changeAlone(Tensor whole, Tensor parts) {
    long channels = whole.size(2);
    Tensor weights = parts.narrow(3, channels, 1);
    Tensor change = parts.narrow(3, 0, channels).sub(whole.mul(weights));
    return change.div(weights.mul(-1).add(1 + LEAST_REST));
  }

  /** Means over queries and channels [sources, heads]. */
  private static double[] squares(Tensor change) {
    return Ops.mean(change.mul(change), false, 2, 3).toDoubles();
  }

  /** Sum of some values by their attention, and of the attention [heads, queries, head_dim + 1]. */
  private static Tensor part(Tensor attention, int from, Tensor values) {
    Tensor some = attention.narrow(2, from, values.size(1));
    return Ops.cat(2, Ops.matmul(some, values.to(DType.F32)), Ops.sum(some, true, 2));
  }

  /** Output of attention over these values alone; nothing where all attention is elsewhere. */
  private static Tensor output(Tensor mass) {
    long channels = mass.size(2) - 1;
    return mass.narrow(2, 0, channels).div(mass.narrow(2, channels, 1).add(Float.MIN_NORMAL));
  }

  /**
   * Adds a scale by its share of the queries.
   *
   * @param missing squares without a source and all larger ones [sources, heads]
   * @param alone squares without a source alone, likewise
   */
  private void add(int layer, int scale, double[] missing, double[] alone) {
    double share = shape.schedule().tokens(scale) / (double) queries();
    int heads = shape.heads();
    for (int i = 0; i < missing.length; i++) {
      double next = i + heads < missing.length ? missing[i + heads] : 0;
      costs[sinkScales + i / heads][layer][i % heads] += share * (missing[i] - next + alone[i]) / 2;
    }
  }

  /** Queries of all scales that see a removable one. */
  private int queries() {
    return shape.schedule().totalTokens() - shape.schedule().offset(sinkScales + 1);
  }

  /** Costs [source][layer][head], once the last scale is drawn. */
  double[][][] costs() {
    return costs;
  }
}
