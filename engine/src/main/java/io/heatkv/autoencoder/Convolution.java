package io.heatkv.autoencoder;

import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Tensor;

/**
 * A 2-D convolution of stride 1 that keeps the size.
 *
 * @param weight [out, in, k, k]
 * @param bias [out]
 */
public record Convolution(Tensor weight, Tensor bias) {
  /** x [n, in, h, w] to [n, out, h, w]. */
  public Tensor apply(Tensor x) {
    return Ops.conv2d(x, weight, bias, 1, Math.toIntExact(weight.size(2) / 2));
  }

  /** Half the size: pads one pixel on the right and below, as the official encoder does. */
  Tensor halve(Tensor x) {
    return Ops.conv2d(Ops.padRightBottom(x, 1, 1), weight, bias, 2, 0);
  }
}
