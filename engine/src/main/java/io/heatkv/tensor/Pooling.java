package io.heatkv.tensor;

/** A value for each place along the last dimension of [a, b, n], from it and its neighbours. */
public final class Pooling {
  private static final Operator MEAN = Operator.of("avg_pool1d");
  private static final Operator MAX = Operator.of("max_pool1d");
  private static final long[] STRIDE = {1};

  private Pooling() {}

  /** The mean over {@code reach} neighbours on either side and the place; beyond the ends is 0. */
  public static Tensor mean(Tensor x, int reach) {
    return x.call(MEAN, x, new long[] {2L * reach + 1}, STRIDE, new long[] {reach}, false, true);
  }

  /** The largest of {@code reach} neighbours on either side and the place. */
  public static Tensor max(Tensor x, int reach) {
    long[] size = {2L * reach + 1};
    return x.call(MAX, x, size, STRIDE, new long[] {reach}, new long[] {1}, false);
  }
}
