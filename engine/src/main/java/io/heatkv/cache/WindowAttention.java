package io.heatkv.cache;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Attention that some queries of a scale pay to every key that they see, summed over them. */
final class WindowAttention {
  // Bounds the matrix of probabilities, which is materialised for one head at a time.
  private static final int CHUNK = 256;

  private WindowAttention() {}

  /**
   * Observes one layer, in float32.
   *
   * @param q queries [batch, heads, tokens, head_dim], scaled
   * @param k keys of the current scale, same shape
   * @param retained keys of earlier scales, head after head [batch, sum of lengths, head_dim]; null
   *     if there are none
   * @param lengths retained tokens of each head
   * @param window numbers of the observed queries in the scale, int64, on the tensors' device
   * @return [row][head][retained, then current tokens]
   */
  static float[][][] of(
      Tensor q, Tensor k, @Nullable Tensor retained, int[] lengths, Tensor window) {
    int batch = (int) q.size(0);
    int heads = (int) q.size(1);
    int tokens = (int) q.size(2);
    List<Tensor> sums = new ArrayList<>();
    try (Scope _ = Scope.open()) {
      long start = 0;
      for (int head = 0; head < heads; head++) {
        Tensor current = k.select(1, head);
        Tensor keys =
            retained == null || lengths[head] == 0
                ? current
                : Ops.cat(1, retained.narrow(1, start, lengths[head]), current);
        sums.add(sum(Ops.indexSelect(q.select(1, head), 1, window), keys));
        start += lengths[head];
      }
      return split(Ops.cat(1, sums).toFloats(), batch, heads, lengths, tokens);
    }
  }

  /**
   * Sum over queries [batch, n, d] of softmax probabilities over keys [batch, m, d]: [batch, m].
   */
  private static Tensor sum(Tensor queries, Tensor keys) {
    try (Scope scope = Scope.open()) {
      Tensor columns = keys.to(DType.F32).transpose(1, 2);
      Tensor total = null;
      for (long from = 0; from < queries.size(1); from += CHUNK) {
        long count = Math.min(CHUNK, queries.size(1) - from);
        Tensor rows = queries.narrow(1, from, count).to(DType.F32);
        Tensor part = Ops.sum(Ops.softmax(Ops.matmul(rows, columns)), false, 1);
        total = total == null ? part : total.add(part);
      }
      return scope.keep(Objects.requireNonNull(total, "an empty window"));
    }
  }

  private static float[][][] split(float[] sums, int batch, int heads, int[] lengths, int tokens) {
    float[][][] result = new float[batch][heads][];
    int next = 0;
    for (int row = 0; row < batch; row++) {
      for (int head = 0; head < heads; head++) {
        result[row][head] = Arrays.copyOfRange(sums, next, next + lengths[head] + tokens);
        next += lengths[head] + tokens;
      }
    }
    return result;
  }
}
