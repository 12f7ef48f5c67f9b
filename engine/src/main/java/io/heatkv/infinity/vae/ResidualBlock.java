package io.heatkv.infinity.vae;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.weights.Weights;
import org.jspecify.annotations.Nullable;

/** Two convolutions with group norm and SiLU, added to their input (ResnetBlock). */
record ResidualBlock(
    Norm norm1, Convolution conv1, Norm norm2, Convolution conv2, @Nullable Convolution shortcut) {
  static ResidualBlock load(Weights weights, Checkpoint checkpoint, String name, DType dtype) {
    boolean widens = checkpoint.find(name + ".nin_shortcut.conv.weight").isPresent();
    return new ResidualBlock(
        Norm.load(weights, name + ".norm1", dtype),
        Convolution.load(weights, name + ".conv1", dtype),
        Norm.load(weights, name + ".norm2", dtype),
        Convolution.load(weights, name + ".conv2", dtype),
        widens ? Convolution.load(weights, name + ".nin_shortcut", dtype) : null);
  }

  /** x [n, in, h, w] to [n, out, h, w]; the result belongs to the enclosing scope. */
  Tensor apply(Tensor x) {
    try (Scope scope = Scope.open()) {
      Tensor h = conv1.apply(Ops.siluInPlace(norm1.apply(x)));
      h = conv2.apply(Ops.siluInPlace(norm2.apply(h)));
      return scope.keep(Ops.addInPlace(h, shortcut == null ? x : shortcut.apply(x)));
    }
  }

  /** Group norm of 32 groups, or 24 where 32 doesn't divide the channels. */
  record Norm(Tensor weight, Tensor bias) {
    private static final double EPSILON = 1e-6;

    static Norm load(Weights weights, String name, DType dtype) {
      return new Norm(
          weights.get(name + ".norm.weight", dtype), weights.get(name + ".norm.bias", dtype));
    }

    Tensor apply(Tensor x) {
      return Ops.groupNorm(x, x.size(1) % 32 == 0 ? 32 : 24, weight, bias, EPSILON);
    }
  }
}
