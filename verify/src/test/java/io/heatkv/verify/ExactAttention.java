package io.heatkv.verify;

import static io.heatkv.verify.KernelRangeSteps.wide;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.List;

/**
 * Softmax attention in float64 operators, a head of a row at a time: over own keys, over own and
 * earlier ones, over own and what each head retained.
 */
final class ExactAttention {
  private final Tensor q;
  private final double scale;
  private final Tensor own;
  private final Tensor both;
  private final Tensor ragged;
  private final Tensor logSumExp;
  private final Tensor logSumExpOfBoth;

  /**
   * @param q [rows, heads, tokens, head_dim]; results are the enclosing scope's
   */
  ExactAttention(Tensor q, double scale) {
    this.q = q;
    this.scale = scale;
    own = Tensor.empty(q.backend(), DType.F64, q.device(), q.shape());
    both = Tensor.empty(q.backend(), DType.F64, q.device(), q.shape());
    ragged = Tensor.empty(q.backend(), DType.F64, q.device(), q.shape());
    logSumExp = Tensor.empty(q.backend(), DType.F64, q.device(), q.size(0), q.size(1), q.size(2));
    logSumExpOfBoth = Tensor.empty(q.backend(), DType.F64, q.device(), logSumExp.shape());
  }

  /**
   * Computes all results.
   *
   * @param retained keys and values, head after head [2, rows, sum of lengths, head_dim]
   */
  void see(
      Tensor k,
      Tensor v,
      Tensor earlierKeys,
      Tensor earlierValues,
      Tensor retained,
      List<Integer> lengths) {
    for (int row = 0; row < q.size(0); row++) {
      long start = 0;
      for (int head = 0; head < q.size(1); head++) {
        long length = lengths.get(head);
        try (Scope _ = Scope.open()) {
          Tensor query = head(q, row, head).mul(scale);
          Tensor scores = scores(query, head(k, row, head));
          Tensor values = head(v, row, head);
          head(own, row, head).copyFrom(Ops.matmul(Ops.softmax(scores), values));
          logSumExp
              .select(0, row)
              .select(0, head)
              .copyFrom(Ops.logSumExp(scores, 1).reshape(q.size(2)));
          Tensor keys = head(earlierKeys, row, head);
          logSumExpOfBoth
              .select(0, row)
              .select(0, head)
              .copyFrom(
                  Ops.logSumExp(Ops.cat(1, scores, scores(query, keys)), 1).reshape(q.size(2)));
          attend(both, row, head, query, scores, values, keys, head(earlierValues, row, head));
          Tensor past = wide(retained.select(1, row).narrow(1, start, length));
          attend(ragged, row, head, query, scores, values, past.select(0, 0), past.select(0, 1));
        }
        start += length;
      }
    }
  }

  private static void attend(
      Tensor target,
      int row,
      int head,
      Tensor query,
      Tensor ownScores,
      Tensor ownValues,
      Tensor keys,
      Tensor values) {
    try (Scope _ = Scope.open()) {
      Tensor all = Ops.cat(1, scores(query, keys), ownScores);
      head(target, row, head).copyFrom(Ops.matmul(Ops.softmax(all), Ops.cat(0, values, ownValues)));
    }
  }

  /**
   * Column sums of the attention matrix, queries scaled before.
   *
   * @return [rows, heads, earlier + tokens]
   */
  static Tensor columnSums(Tensor q, Tensor k, Tensor earlierKeys) {
    long keys = earlierKeys.size(2) + k.size(2);
    Tensor sums = Tensor.empty(q.backend(), DType.F64, q.device(), q.size(0), q.size(1), keys);
    for (int row = 0; row < q.size(0); row++) {
      for (int head = 0; head < q.size(1); head++) {
        try (Scope _ = Scope.open()) {
          Tensor all = Ops.cat(0, head(earlierKeys, row, head), head(k, row, head));
          Tensor weights = Ops.softmax(scores(head(q, row, head), all));
          head(sums, row, head).copyFrom(Ops.sum(weights, false, 0));
        }
      }
    }
    return sums;
  }

  private static Tensor scores(Tensor query, Tensor keys) {
    return Ops.matmul(query, keys.transpose(0, 1));
  }

  /** A head's entries in float64; of a float64 tensor a view. */
  private static Tensor head(Tensor x, int row, int head) {
    return wide(x.select(0, row).select(0, head));
  }

  Tensor own() {
    return own;
  }

  Tensor both() {
    return both;
  }

  Tensor ragged() {
    return ragged;
  }

  /** Of own keys alone. */
  Tensor logSumExp() {
    return logSumExp;
  }

  /** Of earlier and own keys. */
  Tensor logSumExpOfBoth() {
    return logSumExpOfBoth;
  }
}
