package io.heatkv.infinity;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Tensor;
import io.heatkv.weights.Weights;

/**
 * A linear layer.
 *
 * @param weight [out, in]
 * @param bias [out]
 */
record Linear(Tensor weight, Tensor bias) {
  static Linear load(Weights weights, String name, DType dtype) {
    return new Linear(weights.get(name + ".weight", dtype), weights.get(name + ".bias", dtype));
  }

  /** [..., in] to [..., out]. */
  Tensor apply(Tensor x) {
    return x.backend().ops(x.device()).linear(x, weight, bias);
  }
}
