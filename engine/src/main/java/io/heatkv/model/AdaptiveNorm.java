package io.heatkv.model;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;

/**
 * Layer norm with scale and shift that depend on the condition: {@code ln(x)(1 + scale) + shift}.
 */
final class AdaptiveNorm {
  private AdaptiveNorm() {}

  /**
   * @param x [rows, tokens, width], float32
   * @param gain 1 + scale [rows, width], float32
   * @param shift [rows, width], float32
   * @param dtype of the result
   */
  static Tensor apply(Tensor x, Tensor gain, Tensor shift, double eps, DType dtype) {
    // A row's gain and shift are the affine parameters of a plain layer norm: one pass over x.
    Tensor result = Tensor.empty(x.backend(), dtype, x.device(), x.size(0), x.size(1), x.size(2));
    for (long row = 0; row < x.size(0); row++) {
      try (Scope _ = Scope.open()) {
        result
            .select(0, row)
            .copyFrom(
                Ops.layerNorm(x.select(0, row), gain.select(0, row), shift.select(0, row), eps));
      }
    }
    return result;
  }
}
