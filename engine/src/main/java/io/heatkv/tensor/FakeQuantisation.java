package io.heatkv.tensor;

import java.util.List;
import java.util.stream.IntStream;

/**
 * What numbers become when they are stored coarser or in fewer bits, in float32: to measure what
 * that costs before it is done. The numbers of the scales are IEEE half precision, rounded before
 * values are quantised by them, steps up and lows down so that the range stays covered.
 */
public final class FakeQuantisation {
  private static final Operator MOST = Operator.of("amax");
  private static final Operator LEAST = Operator.of("amin");
  private static final Operator ROUND_ = Operator.of("round_");
  private static final Operator DIVIDE_ = Operator.of("div_", "Tensor");
  private static final Operator CLAMP_ = Operator.of("clamp_", "Tensor");
  private static final Operator BLOCK_MEANS = Operator.of("avg_pool2d");
  private static final int INT8 = 127;
  private static final int INT4 = 15;
  private static final double LARGEST_HALF = 65504;
  // A little over half the distance of halves of more than 11 bits, and of smaller ones.
  private static final double NORMAL = Math.scalb(1.001, -11);
  private static final double SUBNORMAL = Math.scalb(1.001, -25);
  // Steps of nothing but zeros divide, too.
  private static final double NO_STEP = 1e-30;

  private FakeQuantisation() {}

  /** 8 bits, symmetric, a step for each token; x [..., head_dim]. */
  public static Tensor int8(Tensor x) {
    try (Scope scope = Scope.open()) {
      Tensor most = Ops.maximum(reduce(MOST, x, -1), reduce(LEAST, x, -1).mul(-1));
      Tensor step = roundedUp(most.div(constant(x, INT8)));
      Tensor codes = x.div(divisor(step));
      codes.call(ROUND_, codes).release();
      return scope.keep(codes.mulInPlace(step));
    }
  }

  /**
   * 4 bits, asymmetric, a low and a step for each channel of a map; x [..., tokens, head_dim].
   *
   * @param maps tokens of each map; they follow one another
   * @param mapOf number of each token's map, int64 [tokens]
   */
  public static Tensor int4(Tensor x, int[] maps, Tensor mapOf) {
    try (Scope scope = Scope.open()) {
      int dim = x.rank() - 2;
      Tensor low = roundedUp(extremes(LEAST, x, maps).mul(-1)).mul(-1);
      Tensor step = roundedUp(extremes(MOST, x, maps).sub(low).div(constant(x, INT4)));
      Tensor lows = Ops.indexSelect(low, dim, mapOf);
      Tensor codes = x.sub(lows);
      Tensor divisors = Ops.indexSelect(divisor(step), dim, mapOf);
      codes.call(DIVIDE_, codes, divisors).release();
      divisors.release();
      codes.call(ROUND_, codes).release();
      codes.call(CLAMP_, codes, some(constant(x, 0)), some(constant(x, INT4))).release();
      multiply(codes, Ops.indexSelect(step, dim, mapOf));
      return scope.keep(Ops.addInPlace(codes, lows));
    }
  }

  /** {@code x *= factors}, which are freed: large values are few at a time. */
  private static void multiply(Tensor x, Tensor factors) {
    x.mulInPlace(factors);
    factors.release();
  }

  /**
   * Means over blocks of a map; those at the far edges may be smaller.
   *
   * @param x [a, b, c, height width, head_dim]
   * @return [a, b, c, blocks, head_dim]
   */
  public static Tensor blockMeans(Tensor x, int height, int width, int pool) {
    long dim = x.size(4);
    try (Scope scope = Scope.open()) {
      Tensor maps = x.reshape(-1, height, width, dim).permute(0, 3, 1, 2);
      long[] block = {pool, pool};
      Tensor means =
          maps.call(
              BLOCK_MEANS, maps, block, block, new long[2], true, false, Backend.Optional.NONE);
      return scope.keep(
          means.permute(0, 2, 3, 1).reshape(x.size(0), x.size(1), x.size(2), -1, dim));
    }
  }

  private static Tensor extremes(Operator operator, Tensor x, int[] maps) {
    int dim = x.rank() - 2;
    int[] starts =
        IntStream.range(0, maps.length).map(i -> IntStream.of(maps).limit(i).sum()).toArray();
    List<Tensor> each =
        IntStream.range(0, maps.length)
            .mapToObj(i -> reduce(operator, x.narrow(dim, starts[i], maps[i]), dim))
            .toList();
    return Ops.cat(dim, each);
  }

  private static Tensor reduce(Operator operator, Tensor x, long dim) {
    return x.call(operator, x, new long[] {dim}, true);
  }

  /** Products with inverses turn codes in the middle of two, frequent in 16 bits, the other way. */
  private static Tensor divisor(Tensor step) {
    return Ops.maximum(step, constant(step, NO_STEP));
  }

  /** The least half that isn't below a number, as float32; saturating. */
  private static Tensor roundedUp(Tensor x) {
    Tensor finite = Ops.clamp(x, constant(x, -LARGEST_HALF), constant(x, LARGEST_HALF));
    Tensor nearest = half(finite);
    Tensor magnitude = Ops.maximum(nearest, nearest.mul(-1));
    Tensor apart = Ops.maximum(magnitude.mul(NORMAL), constant(x, SUBNORMAL));
    return Ops.where(Ops.less(nearest, finite), half(nearest.add(apart)), nearest);
  }

  private static Tensor half(Tensor x) {
    return x.to(DType.F16).to(DType.F32);
  }

  private static Backend.Optional some(Tensor value) {
    return Backend.Optional.of(value);
  }

  private static Tensor constant(Tensor like, double value) {
    return Tensor.full(like.backend(), value, DType.F32, like.device(), 1);
  }
}
