package io.heatkv.weights;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Tensor;

/**
 * A linear layer.
 *
 * @param weight [out, in]
 * @param bias [out]
 */
public record Linear(Tensor weight, Tensor bias) {
  public static Linear load(Weights weights, String name, DType dtype) {
    return new Linear(weights.get(name + ".weight", dtype), weights.get(name + ".bias", dtype));
  }

  /** As above; the weight is there once {@link Weights#await} has returned. */
  public static Linear later(Weights weights, String name, DType dtype) {
    return new Linear(weights.later(name + ".weight", dtype), weights.get(name + ".bias", dtype));
  }

  /** [..., in] to [..., out]. */
  public Tensor apply(Tensor x) {
    return x.backend().ops(x.device()).linear(x, weight, bias);
  }
}
