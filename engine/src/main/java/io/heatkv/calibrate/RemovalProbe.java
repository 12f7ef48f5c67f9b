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
final class RemovalProbe implements AutoCloseable {
  // Keeps rounding in check where nearly all attention is on one scale.
  private static final double LEAST_REST = 1e-6;

  private final KvShape shape;
  private final int sinkScales;
  private final double[][][] costs;
  // Of the scale at hand, squares [2, sources, heads] of each layer, see add().
  private final LayerNumbers squares = new LayerNumbers();

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
      Tensor all = Ops.cat(1, stored.narrow(1, 0, start), v).to(DType.F32);
      // A channel of ones sums up the attention itself.
      Tensor values =
          Ops.cat(
              2,
              all,
              Tensor.full(all.backend(), 1, DType.F32, all.device(), all.size(0), all.size(1), 1));
      Tensor some = part(attention, values, start, v.size(1));
      if (sinkScales > 0) {
        some = some.add(part(attention, values, 0, schedule.offset(sinkScales)));
      }
      List<Tensor> parts = new ArrayList<>();
      List<Tensor> sums = new ArrayList<>();
      for (int s = sinkScales; s < scale; s++) {
        parts.add(part(attention, values, schedule.offset(s), schedule.tokens(s)));
        sums.add(some);
        some = some.add(parts.getLast());
      }
      Tensor whole = output(some);
      Tensor nearer = whole.sub(output(Ops.stack(0, sums.toArray(Tensor[]::new))));
      Tensor alone = changeAlone(whole, Ops.stack(0, parts.toArray(Tensor[]::new)));
      Tensor changes = Ops.stack(0, nearer, alone);
      squares.add(Ops.mean(changes.mul(changes), false, 3, 4));
    }
    if (layer == shape.layers() - 1) {
      add(scale, squares.take());
    }
  }

  /** {@code o - (o - w o_s) / (1 - w)} for parts of weight w and output o_s. */
  private static Tensor changeAlone(Tensor whole, Tensor parts) {
    long channels = whole.size(2);
    Tensor weights = parts.narrow(3, channels, 1);
    Tensor change = parts.narrow(3, 0, channels).sub(whole.mul(weights));
    return change.div(weights.mul(-1).add(1 + LEAST_REST));
  }

  /** Sum of some values by their attention, and of the attention [heads, queries, head_dim + 1]. */
  private static Tensor part(Tensor attention, Tensor values, long from, long tokens) {
    return Ops.matmul(attention.narrow(2, from, tokens), values.narrow(1, from, tokens));
  }

  /** Outputs of attention over some values alone; nothing where all attention is elsewhere. */
  private static Tensor output(Tensor mass) {
    int last = mass.rank() - 1;
    long channels = mass.size(last) - 1;
    return mass.narrow(last, 0, channels).div(mass.narrow(last, channels, 1).add(Float.MIN_NORMAL));
  }

  /**
   * Adds a scale by its share of the queries.
   *
   * @param measured means of the squares [layer][2][source][head]: without a source and all larger
   *     ones; without a source alone
   */
  private void add(int scale, double[] measured) {
    double share = shape.schedule().tokens(scale) / (double) queries();
    int heads = shape.heads();
    int sources = scale - sinkScales;
    for (int l = 0; l < shape.layers(); l++) {
      for (int i = 0; i < sources * heads; i++) {
        int missing = 2 * l * sources * heads + i;
        double next = i + heads < sources * heads ? measured[missing + heads] : 0;
        double alone = measured[missing + sources * heads];
        costs[sinkScales + i / heads][l][i % heads] +=
            share * (measured[missing] - next + alone) / 2;
      }
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

  @Override
  public void close() {
    squares.close();
  }
}
