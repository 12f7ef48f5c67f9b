package io.heatkv.tensor.libtorch;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.HeadRanges;
import io.heatkv.tensor.Ops.AttentionParts;
import io.heatkv.tensor.Tensor;

/**
 * Chooses among libtorch's attention kernels.
 *
 * <p>Measured on an H100 with 16 heads of 128: cuDNN is 1.5 to 1.7 times as fast as flash from some
 * 500 queries on, and has to plan every new shape (60 ms), which isn't worth it below. Of them only
 * the memory-efficient kernel takes float32, for which most shapes have {@link FloatAttention}.
 */
final class CudaAttention {
  private static final int CUDNN_QUERIES = 512;

  private final AttentionFunctions functions;
  private final boolean hasFlash;
  private final boolean hasCudnn;

  CudaAttention(LibTorch torch, StableAbi abi, int capability) {
    functions = new AttentionFunctions(torch, abi);
    hasFlash = capability >= 80;
    hasCudnn = capability >= 90 && abi.has("cudnnCreate");
  }

  /** q [b, h, n, d], k and v [b, h, m, d]. */
  AttentionParts dense(Tensor q, Tensor k, Tensor v, double scale) {
    if (!isHalf(q)) {
      return cut(functions.efficient(q, k, v, scale), q);
    }
    if (hasCudnn && q.size(2) >= CUDNN_QUERIES && q.size(3) <= 128) {
      AttentionParts parts = functions.cudnn(q, k, v, scale);
      return new AttentionParts(parts.output(), parts.lse().reshape(q.size(0), q.size(1), -1));
    }
    return functions.flash(q, k, v, scale);
  }

  /** The memory-efficient kernel pads the log-sum-exp. */
  private static AttentionParts cut(AttentionParts parts, Tensor q) {
    return new AttentionParts(parts.output(), parts.lse().narrow(2, 0, q.size(2)));
  }

  /**
   * q [b, h, n, d] against the packed keys of each head; heads without keys have undefined results.
   *
   * @param retained keys and values [2, b, sum of lengths, d]
   */
  AttentionParts ragged(Tensor q, Tensor retained, HeadRanges ranges, double scale) {
    long dim = q.size(3);
    long tokens = q.size(2);
    Tensor query = q.contiguous().reshape(-1, 1, dim);
    Tensor keys = retained.select(0, 0).reshape(-1, 1, dim);
    Tensor values = retained.select(0, 1).reshape(-1, 1, dim);
    AttentionParts parts =
        isHalf(q)
            ? functions.flashRagged(query, keys, values, ranges, tokens, scale)
            : cut(
                functions.efficientRagged(
                    query.unsqueeze(0),
                    keys.unsqueeze(0),
                    values.unsqueeze(0),
                    ranges,
                    tokens,
                    scale),
                q);
    return new AttentionParts(
        parts.output().reshape(q.shape()), parts.lse().reshape(q.size(0), q.size(1), tokens));
  }

  private boolean isHalf(Tensor q) {
    boolean half = q.dtype() == DType.BF16 || q.dtype() == DType.F16;
    return half && hasFlash && q.size(3) % 8 == 0 && q.size(3) <= 256;
  }
}
