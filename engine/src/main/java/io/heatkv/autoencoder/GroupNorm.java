package io.heatkv.autoencoder;

import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Tensor;

/** Group norm of 32 groups, or 24 where 32 doesn't divide the channels. */
public record GroupNorm(Tensor weight, Tensor bias) {
  private static final double EPSILON = 1e-6;

  /** x [n, channels, h, w] to the same shape. */
  public Tensor apply(Tensor x) {
    return Ops.groupNorm(x, x.size(1) % 32 == 0 ? 32 : 24, weight, bias, EPSILON);
  }
}
