package io.heatkv.tensor;

import io.heatkv.tensor.Operator.Products;
import org.jspecify.annotations.Nullable;

/**
 * Products with weights. On the CPU in float32 a row's bits depend neither on other rows nor on
 * threads.
 */
final class LinearLayer {
  private static final Operator LINEAR = Operator.of("linear", Products.WHOLE);

  // Multiplications up to which OpenBLAS may take other kernels, which round otherwise.
  private static final long SMALL_PRODUCT = 1_000_000;
  // Rows below which oneDNN does, and a depth up to which it sums in one order.
  private static final long ROW_BLOCK = 16;
  private static final long UNDIVIDED_DEPTH = 768;

  /** Who computes a linear layer. */
  private enum Multiplier {
    /** libtorch's own choice: cuBLAS, on the CPU OpenBLAS. */
    LIBTORCH,
    /** oneDNN's product, beside other work twice as fast as OpenBLAS, GELU without another pass. */
    ONEDNN,
    /** oneDNN's convolution of one pixel, whose sums run over the depth alone. */
    CONVOLUTION
  }

  private LinearLayer() {}

  /**
   * {@code x W^T + b}, with {@code gelu} the tanh approximation of GELU of it; x [..., in], weight
   * [out, in], bias [out].
   */
  static Tensor apply(Tensor x, Tensor weight, @Nullable Tensor bias, boolean gelu) {
    long depth = weight.size(1);
    long rows = depth == 0 ? 0 : x.count() / depth;
    Multiplier multiplier = rows == 0 ? Multiplier.LIBTORCH : multiplier(x);
    // Enough rows for the kernel of large products: a row's bits don't depend on how many there
    // are.
    long least =
        switch (multiplier) {
          case LIBTORCH -> SMALL_PRODUCT / Math.max(1, weight.count()) + 1;
          case ONEDNN -> ROW_BLOCK;
          case CONVOLUTION -> 1;
        };
    if (x.device().isCuda() || x.dtype() != DType.F32 || rows == 0 || rows >= least) {
      return product(multiplier, x, weight, bias, gelu);
    }
    long[] shape = x.shape();
    shape[shape.length - 1] = weight.size(0);
    try (Scope scope = Scope.open()) {
      Tensor padded = Ops.zeros(x, least, depth);
      padded.narrow(0, 0, rows).copyFrom(x.reshape(rows, depth));
      Tensor product = product(multiplier, padded, weight, bias, gelu);
      return scope.keep(product.narrow(0, 0, rows).reshape(shape));
    }
  }

  /**
   * With AVX-512 a row's bits hold in oneDNN's products up to a depth; without it, and in
   * OpenBLAS's on some processors with it, other kernels take the last rows.
   */
  private static Multiplier multiplier(Tensor x) {
    Backend backend = x.backend();
    if (x.device().isCuda() || !backend.hasOneDnn()) {
      return Multiplier.LIBTORCH;
    }
    return switch (x.dtype()) {
      case F32 -> backend.hasAvx512() ? Multiplier.ONEDNN : Multiplier.CONVOLUTION;
      case BF16 -> backend.multipliesBf16() ? Multiplier.ONEDNN : Multiplier.LIBTORCH;
      default -> Multiplier.LIBTORCH;
    };
  }

  private static Tensor product(
      Multiplier multiplier, Tensor x, Tensor weight, @Nullable Tensor bias, boolean gelu) {
    Backend backend = x.backend();
    return switch (multiplier) {
      case LIBTORCH -> {
        Tensor product = x.call(LINEAR, x, weight, Ops.optional(bias));
        yield gelu ? Ops.geluInPlace(product) : product;
      }
      case ONEDNN -> {
        if (x.dtype() == DType.F32 && weight.size(1) > UNDIVIDED_DEPTH) {
          Tensor sum = sumOfParts(x, weight, bias);
          yield gelu ? Ops.geluInPlace(sum) : sum;
        }
        yield Tensor.of(backend, backend.linear(x, weight, bias, gelu));
      }
      case CONVOLUTION -> {
        long[] shape = x.shape();
        long depth = shape[shape.length - 1];
        shape[shape.length - 1] = weight.size(0);
        try (Scope scope = Scope.open()) {
          // Rows are pixels of one column, channels last.
          Tensor column = x.reshape(1, -1, 1, depth).permute(0, 3, 1, 2);
          Tensor factors = weight.reshape(-1, 1, 1, depth).permute(0, 3, 1, 2);
          Tensor pixels = Tensor.of(backend, backend.linear(column, factors, bias, gelu));
          yield scope.keep(pixels.permute(0, 2, 3, 1).reshape(shape));
        }
      }
    };
  }

  /** Of parts of the depth, each of which is summed in one order. */
  private static Tensor sumOfParts(Tensor x, Tensor weight, @Nullable Tensor bias) {
    long depth = weight.size(1);
    long each = Math.ceilDiv(depth, Math.ceilDiv(depth, UNDIVIDED_DEPTH));
    try (Scope scope = Scope.open()) {
      Tensor sum = part(x, weight, bias, 0, each);
      for (long start = each; start < depth; start += each) {
        Ops.addInPlace(sum, part(x, weight, null, start, Math.min(each, depth - start)));
      }
      return scope.keep(sum);
    }
  }

  private static Tensor part(
      Tensor x, Tensor weight, @Nullable Tensor bias, long start, long count) {
    Tensor some = x.narrow(x.rank() - 1, start, count).contiguous();
    Tensor factors = weight.narrow(1, start, count).contiguous();
    return product(Multiplier.ONEDNN, some, factors, bias, false);
  }
}
