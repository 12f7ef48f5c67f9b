package io.heatkv.autoencoder;

import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** Two convolutions with group norm and SiLU, added to their input (ResnetBlock). */
record ResidualBlock(
    GroupNorm norm1,
    Convolution conv1,
    GroupNorm norm2,
    Convolution conv2,
    @Nullable Convolution shortcut) {
  /**
   * x [n, in, h, w] to [n, out, h, w]; the result belongs to the enclosing scope. Each map is freed
   * once it is read, since they are the peak of a decoder's memory: see {@link DecoderMemory}.
   */
  Tensor apply(Tensor x) {
    try (Scope scope = Scope.open()) {
      Tensor normed = norm1.silu(x);
      Tensor h = conv1.apply(normed);
      normed.release();
      normed = norm2.silu(h);
      h.release();
      Tensor sum = conv2.apply(normed);
      normed.release();
      return scope.keep(Ops.addInPlace(sum, shortcut == null ? x : shortcut.apply(x)));
    }
  }
}
