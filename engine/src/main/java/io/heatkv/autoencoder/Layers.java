package io.heatkv.autoencoder;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.weights.Weights;
import org.jspecify.annotations.Nullable;

/**
 * The layers of a checkpoint by name.
 *
 * @param convolution what a tokenizer's class puts between the name of a convolution and its
 *     weight, such as {@code .conv}
 * @param norm likewise of group norms
 */
public record Layers(
    Weights weights, Checkpoint checkpoint, DType dtype, String convolution, String norm) {
  /** A convolution, in the compute type. */
  public Convolution convolution(String name) {
    String full = name + convolution;
    return new Convolution(laidOut(full + ".weight"), weights.get(full + ".bias", dtype));
  }

  private Tensor laidOut(String name) {
    Tensor weight = weights.get(name, dtype);
    try (Scope _ = Scope.open()) {
      Tensor result = weight.backend().ops(weight.device()).convolutionWeight(weight);
      if (result == weight) {
        return weight;
      }
      weight.release();
      return weights.adopt(result);
    }
  }

  /** A group norm, in the compute type. */
  public GroupNorm norm(String name) {
    String full = name + norm;
    return new GroupNorm(weights.get(full + ".weight", dtype), weights.get(full + ".bias", dtype));
  }

  /** Whether the checkpoint has that convolution. */
  boolean has(String name) {
    return checkpoint.find(name + convolution + ".weight").isPresent();
  }

  @Nullable Convolution convolutionIfAny(String name) {
    return has(name) ? convolution(name) : null;
  }

  ResidualBlock residual(String name) {
    return new ResidualBlock(
        norm(name + ".norm1"),
        convolution(name + ".conv1"),
        norm(name + ".norm2"),
        convolution(name + ".conv2"),
        convolutionIfAny(name + ".nin_shortcut"));
  }

  @Nullable AttentionBlock attentionIfAny(String name) {
    return has(name + ".qkv")
        ? new AttentionBlock(
            norm(name + ".norm"), convolution(name + ".qkv"), convolution(name + ".proj_out"))
        : null;
  }
}
