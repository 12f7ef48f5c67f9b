package io.heatkv.tensor.libtorch;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Maps of pictures in half precision on a CUDA device. Channels lie last in memory: so cuDNN's
 * convolutions take them as they are, where others would be turned around before and after each.
 */
final class CudaPictures {
  // Of blocks.cu.
  private static final int MAX_CHANNELS = 1024;
  // Some two for each of a large device's multiprocessors.
  private static final int SUM_BLOCKS = 256;

  private CudaPictures() {}

  /** See {@link DeviceOps#convolutionWeight}; float32 stays as it is, which is as fast. */
  static Tensor convolutionWeight(Tensor weight) {
    return weight.dtype() == DType.BF16 || weight.dtype() == DType.F16
        ? channelsLast(weight)
        : weight;
  }

  private static Tensor channelsLast(Tensor x) {
    try (Scope scope = Scope.open()) {
      return scope.keep(
          x.transpose(1, 2).transpose(2, 3).contiguous().transpose(2, 3).transpose(1, 2));
    }
  }

  private static boolean isChannelsLast(Tensor x) {
    return x.stride(1) == 1
        && x.stride(3) == x.size(1)
        && x.stride(2) == x.size(1) * x.size(3)
        && x.stride(0) == x.size(1) * x.size(3) * x.size(2);
  }

  /** See {@link DeviceOps#groupNorm}; null where operators must do. */
  static @Nullable Tensor groupNorm(
      @Nullable CudaKernels own,
      Tensor x,
      int groups,
      Tensor weight,
      Tensor bias,
      double eps,
      boolean silu) {
    long n = x.size(0);
    long channels = x.size(1);
    long height = x.size(2);
    long width = x.size(3);
    if (own == null || channels % 8 != 0 || channels > MAX_CHANNELS || !isChannelsLast(x)) {
      return null;
    }
    try (Scope scope = Scope.open()) {
      Tensor out =
          Tensor.empty(x.backend(), x.dtype(), x.device(), n, height, width, channels)
              .transpose(2, 3)
              .transpose(1, 2);
      long blocks = Math.min(SUM_BLOCKS, height * width);
      Tensor sums = Tensor.empty(x.backend(), DType.F32, x.device(), n, blocks, 2, channels);
      Tensor factors = Tensor.empty(x.backend(), DType.F32, x.device(), n, 2, channels);
      own.groupNorm(x, groups, weight, bias, eps, silu, sums, factors, out);
      return scope.keep(out);
    }
  }
}
