package io.heatkv.cache;

import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;

/** Attention where every head has its own number of earlier keys. */
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
    long batch = q.size(0);
    long heads = q.size(1);
    if (allEqual(lengths)) {
      Tensor each = retained.reshape(2, batch, heads, lengths[0], q.size(3));
      return Ops.attention(
          q, Ops.cat(2, each.select(0, 0), k), Ops.cat(2, each.select(0, 1), v), null, 1);
    }
    // Tokens before heads: the output projection then reads it without a copy.
    Tensor out =
        Tensor.empty(q.backend(), q.dtype(), q.device(), batch, q.size(2), heads, q.size(3))
            .transpose(1, 2);
    long start = 0;
    for (int head = 0; head < heads; head++) {
      try (Scope _ = Scope.open()) {
        Tensor past = retained.narrow(2, start, lengths[head]).unsqueeze(2);
        Tensor attended =
            Ops.attention(
                q.narrow(1, head, 1),
                Ops.cat(2, past.select(0, 0), k.narrow(1, head, 1)),
                Ops.cat(2, past.select(0, 1), v.narrow(1, head, 1)),
                null,
                1);
        out.narrow(1, head, 1).copyFrom(attended);
      }
      start += lengths[head];
    }
    return out;
  }

  private static boolean allEqual(int[] lengths) {
    for (int length : lengths) {
      if (length != lengths[0]) {
        return false;
      }
    }
    return true;
  }
}
