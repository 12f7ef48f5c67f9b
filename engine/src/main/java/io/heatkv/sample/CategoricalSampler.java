package io.heatkv.sample;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Sorting;
import io.heatkv.tensor.Tensor;

/**
 * Chooses one of many for every symbol, such as an entry of a codebook. A symbol's choice depends
 * on its own logits and uniform alone.
 *
 * <p>Reference: {@code sample_with_top_k_top_p_} of VAR's models/helpers.py, which draws by
 * multinomial; here the uniform is looked up in the cumulative distribution, in the order of the
 * choices.
 */
public final class CategoricalSampler {
  /** Logits that are filtered and summed at once, so that large batches take no more memory. */
  public static final long AT_ONCE = 1 << 24;

  /** Bytes that this takes for each of them, about. */
  public static final int BYTES_A_CHOICE = 60;

  private CategoricalSampler() {}

  /**
   * The likeliest choice, of equal ones the first.
   *
   * @param logits [..., choices]
   * @return [...], int64
   */
  public static Tensor argmax(Tensor logits) {
    return Sorting.argmax(logits);
  }

  /**
   * The choice in whose part of the filtered cumulative distribution the uniform lies.
   *
   * @param logits [..., choices], float32
   * @param uniforms [...] in [0, 1), float32
   * @param topK keeps so many of the likeliest choices, and those as likely as the last of them; as
   *     many as there are filter nothing
   * @param topP in (0, 1]; drops the least likely choices of what is left while together they have
   *     at most {@code 1 - topP}, never the likeliest; 1 filters nothing
   * @return [...], int64
   */
  public static Tensor sample(Tensor logits, Tensor uniforms, int topK, double topP) {
    return sample(logits, uniforms, topK, topP, AT_ONCE);
  }

  static Tensor sample(Tensor logits, Tensor uniforms, int topK, double topP, long atOnce) {
    long rows = logits.size(0);
    if (logits.count() > atOnce && rows > 1) {
      long half = rows / 2;
      long rest = rows - half;
      return Ops.cat(
          0,
          sample(logits.narrow(0, 0, half), uniforms.narrow(0, 0, half), topK, topP, atOnce),
          sample(logits.narrow(0, half, rest), uniforms.narrow(0, half, rest), topK, topP, atOnce));
    }
    try (Scope scope = Scope.open()) {
      Tensor left = filtered(logits, topK, topP);
      // In float64 a sum of thousands of choices keeps every bit of the uniform.
      Tensor sums = Sorting.cumulativeSum(Ops.softmax(left.to(DType.F64)));
      Tensor total = sums.narrow(sums.rank() - 1, sums.size(-1) - 1, 1);
      Tensor target = uniforms.to(DType.F64).unsqueeze(uniforms.rank()).mul(total);
      return scope.keep(Ops.sum(Ops.lessOrEqual(sums, target), false, -1));
    }
  }

  /** Logits of {@link #sample}, minus infinity for what is never drawn. */
  public static Tensor filtered(Tensor logits, int topK, double topP) {
    Tensor left = topK > 0 && topK < logits.size(-1) ? topK(logits, topK) : logits;
    return topP < 1 ? topP(left, topP) : left;
  }

  private static Tensor topK(Tensor logits, int count) {
    Tensor least = Sorting.least(Ops.largest(logits, count));
    return Ops.where(Ops.less(logits, least), never(logits), logits);
  }

  private static Tensor topP(Tensor logits, double topP) {
    Sorting.Sorted sorted = Sorting.sort(logits);
    Tensor sums = Sorting.cumulativeSum(Ops.softmax(sorted.values()));
    Tensor most = Tensor.full(logits.backend(), 1 - topP, DType.F32, logits.device(), 1);
    Tensor dropped = Ops.lessOrEqual(sums, most);
    // The likeliest stays, whatever rounding makes of its sum.
    Tensor likeliest = dropped.narrow(dropped.rank() - 1, dropped.size(-1) - 1, 1);
    likeliest.copyFrom(Tensor.full(logits.backend(), 0, DType.BOOL, logits.device(), 1));
    return Ops.where(Sorting.scatter(dropped, sorted.indices()), never(logits), logits);
  }

  private static Tensor never(Tensor like) {
    return Tensor.full(like.backend(), Double.NEGATIVE_INFINITY, like.dtype(), like.device(), 1);
  }
}
