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
  /** x [n, in, h, w] to [n, out, h, w]; the result belongs to the enclosing scope. */
  Tensor apply(Tensor x) {
    try (Scope scope = Scope.open()) {
      Tensor h = conv1.apply(Ops.siluInPlace(norm1.apply(x)));
      h = conv2.apply(Ops.siluInPlace(norm2.apply(h)));
      return scope.keep(Ops.addInPlace(h, shortcut == null ? x : shortcut.apply(x)));
    }
  }
}
