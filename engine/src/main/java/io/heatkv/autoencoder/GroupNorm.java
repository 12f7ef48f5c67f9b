package io.heatkv.autoencoder;

import io.heatkv.tensor.Tensor;

/** Group norm of 32 groups, or 24 where 32 doesn't divide the channels. */
public record GroupNorm(Tensor weight, Tensor bias) {
  private static final double EPSILON = 1e-6;

  /** x [n, channels, h, w] to the same shape. */
  public Tensor apply(Tensor x) {
    return apply(x, false);
  }

  /** SiLU of {@link #apply}. */
  Tensor silu(Tensor x) {
    return apply(x, true);
  }

  private Tensor apply(Tensor x, boolean silu) {
    int groups = x.size(1) % 32 == 0 ? 32 : 24;
    return x.backend().ops(x.device()).groupNorm(x, groups, weight, bias, EPSILON, silu);
  }
}
