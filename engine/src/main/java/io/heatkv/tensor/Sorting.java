package io.heatkv.tensor;

/** Operators on the order of values along the last dimension, each of one ATen operator. */
public final class Sorting {
  private static final Operator ARGMAX = Operator.of("argmax");
  private static final Operator AMIN = Operator.of("amin");
  private static final Operator CUMSUM = Operator.of("cumsum");
  private static final Operator SORT = Operator.of("sort", "stable");
  private static final Operator SCATTER = Operator.of("scatter", "src");
  private static final Operator GATHER = Operator.of("gather");

  private Sorting() {}

  /** The index of the largest value, of equal ones the first. */
  public static Tensor argmax(Tensor x) {
    return x.call(ARGMAX, x, Backend.Optional.of(-1L), false);
  }

  /** The least value; the dimension becomes 1. */
  public static Tensor least(Tensor x) {
    return x.call(AMIN, x, new long[] {-1}, true);
  }

  /** Sums of each value and those before it. */
  public static Tensor cumulativeSum(Tensor x) {
    return x.call(CUMSUM, x, -1L, Backend.Optional.NONE);
  }

  /** Sorts ascending; equal values keep their order. */
  public static Sorted sort(Tensor x) {
    long[] results = x.backend().callMany(SORT, 2, x, Backend.Optional.of(true), -1L, false);
    return new Sorted(Tensor.of(x.backend(), results[0]), Tensor.of(x.backend(), results[1]));
  }

  /** Values in order, and where each was before, int64. */
  public record Sorted(Tensor values, Tensor indices) {}

  /** Each value at its index of all; the reverse of {@link #sort}. */
  public static Tensor scatter(Tensor x, Tensor indices) {
    return scatter(x, indices, x);
  }

  /** A copy of x with each value at its index. */
  public static Tensor scatter(Tensor x, Tensor indices, Tensor values) {
    return x.call(SCATTER, x, -1L, indices, values);
  }

  /** The values of x at the indices; all dimensions but the last have the same sizes in both. */
  public static Tensor gather(Tensor x, Tensor indices) {
    return x.call(GATHER, x, -1L, indices, false);
  }
}
