package io.heatkv.calibrate;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;

/**
 * Attention to each of some scales alone, of which that to all of them is made up: a part weighs as
 * the exponential of its log-sum-exp.
 */
final class ScaleParts {
  private final Tensor query;
  private final Tensor outputs;
  private final Tensor sums;

  /**
   * Parts that see nothing yet; place 0 is for the scale that a query is of.
   *
   * @param query [layers, heads, queries, head_dim]
   */
  ScaleParts(Tensor query, int places) {
    this.query = query;
    long layers = query.size(0);
    long heads = query.size(1);
    long queries = query.size(2);
    outputs = filled(0, layers, heads, queries, places, query.size(3));
    sums = filled(Double.NEGATIVE_INFINITY, layers, heads, queries, places);
  }

  private Tensor filled(double value, long... sizes) {
    return Tensor.full(query.backend(), value, DType.F32, query.device(), sizes);
  }

  /** Attention of the queries from {@code start} on; the first {@code own} are of the scale. */
  void add(int place, int start, int own, Tensor keys, Tensor values) {
    long count = query.size(2) - start;
    try (Scope _ = Scope.open()) {
      Ops.AttentionParts part =
          Ops.attentionWithLse(query.narrow(2, start, count), keys, values, 1);
      put(part, 0, own, start, 0);
      put(part, own, count - own, start, place);
    }
  }

  private void put(Ops.AttentionParts part, long from, long count, int start, int place) {
    if (count > 0) {
      outputs
          .narrow(2, start + from, count)
          .select(3, place)
          .copyFrom(part.output().narrow(2, from, count));
      sums.narrow(2, start + from, count)
          .select(3, place)
          .copyFrom(part.lse().narrow(2, from, count));
    }
  }

  /** Output of each part [layers, heads, queries, places, head_dim]. */
  Tensor outputs() {
    return outputs;
  }

  /** Weight of each part, together 1 [layers, heads, queries, places]. */
  Tensor weights() {
    return Ops.softmax(sums);
  }

  /** Log-sum-exp of all scores [layers, heads, queries, 1]. */
  Tensor lse() {
    return Ops.logSumExp(sums, 3);
  }
}
