package io.heatkv.family;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;

/** Pixels of pictures as bytes. */
public final class Pixels {
  private Pixels() {}

  /**
   * Interleaved 8-bit RGB of one picture, row by row: {@code (x + 1) / 2 * 255}, truncated, as the
   * official code does.
   *
   * @param image [3, height, width] in [-1, 1]
   */
  public static byte[] toRgb(Tensor image) {
    try (Scope _ = Scope.open()) {
      return image.add(1).mul(0.5).mul(255).to(DType.U8).permute(1, 2, 0).toBytes();
    }
  }
}
