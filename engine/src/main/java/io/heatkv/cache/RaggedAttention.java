package io.heatkv.cache;

import io.heatkv.tensor.HeadRanges;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.List;

/** Attention where every head has its own number of earlier keys, known only as it happens. */
final class RaggedAttention {
  private RaggedAttention() {}

  /**
   * Attends to retained entries and to all tokens of the current scale.
   *
   * @param q queries [batch, heads, tokens, head_dim], scaled
   * @param k keys of the current scale, same shape
   * @param v values of the current scale, same shape
   * @param retained keys and values of earlier scales, head after head [2, batch, sum of lengths,
   *     head_dim]
   * @param lengths retained tokens of each head
   * @return [batch, heads, tokens, head_dim]
   */
  static Tensor attend(Tensor q, Tensor k, Tensor v, Tensor retained, int[] lengths) {
    try (Scope scope = Scope.open()) {
      HeadRanges ranges =
          HeadRanges.of(
                  q.backend(),
                  q.device(),
                  Math.toIntExact(q.size(0)),
                  List.of(new HeadRanges.Layer(lengths, Math.toIntExact(q.size(2)))),
                  scope)
              .getFirst();
      return scope.keep(
          q.backend().ops(q.device()).attentionOverRetained(q, k, v, retained, ranges, 1));
    }
  }
}
