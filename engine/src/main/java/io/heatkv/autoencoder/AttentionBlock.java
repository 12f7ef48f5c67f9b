package io.heatkv.autoencoder;

import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;

/** Attention of one head between all positions, added to its input (AttnBlock). */
record AttentionBlock(GroupNorm norm, Convolution qkv, Convolution out) {
  /** x [n, channels, h, w] to the same shape; the result belongs to the enclosing scope. */
  Tensor apply(Tensor x) {
    long channels = x.size(1);
    try (Scope scope = Scope.open()) {
      Tensor parts =
          qkv.apply(norm.apply(x))
              .reshape(x.size(0), 3, channels, x.size(2) * x.size(3))
              .transpose(2, 3)
              .contiguous();
      Tensor attended =
          Ops.attention(
              parts.narrow(1, 0, 1),
              parts.narrow(1, 1, 1),
              parts.narrow(1, 2, 1),
              null,
              1 / Math.sqrt((double) channels));
      Tensor branch = out.apply(attended.transpose(2, 3).contiguous().reshape(x.shape()));
      return scope.keep(Ops.addInPlace(branch, x));
    }
  }
}
