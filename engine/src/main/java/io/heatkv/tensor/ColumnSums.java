package io.heatkv.tensor;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** {@link DeviceOps#columnSums} by operators: probabilities of some heads and queries at a time. */
final class ColumnSums {
  // Bounds the matrix of probabilities: queries, and numbers that a cache of the device holds.
  private static final int CHUNK = 256;
  private static final long NUMBERS = 1 << 18;
  private static final long CUDA_NUMBERS = 1 << 23;

  private ColumnSums() {}

  static Tensor of(Tensor q, Tensor k, @Nullable Tensor earlier) {
    long rows = q.size(0);
    long heads = q.size(1);
    long keys = k.size(2) + (earlier == null ? 0 : earlier.size(2));
    long numbers = q.device().isCuda() ? CUDA_NUMBERS : NUMBERS;
    long each = Math.max(1, numbers / (rows * Math.min(CHUNK, q.size(2)) * keys));
    try (Scope scope = Scope.open()) {
      List<Tensor> sums = new ArrayList<>();
      for (long head = 0; head < heads; head += each) {
        long count = Math.min(each, heads - head);
        Tensor seen = k.narrow(1, head, count);
        if (earlier != null) {
          seen = Ops.cat(2, earlier.narrow(1, head, count), seen);
        }
        Tensor sum =
            sum(
                q.narrow(1, head, count).reshape(rows * count, q.size(2), q.size(3)),
                seen.reshape(rows * count, keys, q.size(3)));
        sums.add(sum.reshape(rows, count, keys));
      }
      return scope.keep(Ops.cat(1, sums));
    }
  }

  /**
   * Sum over queries [batch, n, d] of softmax probabilities over keys [batch, m, d]: [batch, m].
   */
  private static Tensor sum(Tensor queries, Tensor keys) {
    try (Scope scope = Scope.open()) {
      Tensor columns = keys.transpose(1, 2).to(DType.F32);
      Tensor total = null;
      for (long from = 0; from < queries.size(1); from += CHUNK) {
        try (Scope chunk = Scope.open()) {
          long count = Math.min(CHUNK, queries.size(1) - from);
          Tensor scores = Ops.matmul(queries.narrow(1, from, count).to(DType.F32), columns);
          Tensor part = Ops.sum(Ops.softmax(scores), false, 1);
          total = chunk.keep(total == null ? part : total.add(part));
        }
      }
      return scope.keep(Objects.requireNonNull(total, "no queries"));
    }
  }
}
