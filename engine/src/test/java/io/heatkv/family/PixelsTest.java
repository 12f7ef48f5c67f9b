package io.heatkv.family;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.TestDevice;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import org.junit.jupiter.api.Test;

class PixelsTest {
  /** The official code truncates {@code (x + 1) / 2 * 255}; a row of two pixels, red first. */
  @Test
  void truncatesAndInterleaves() {
    float[] planes = {
      -1,
      1, // 0, 255
      0,
      0.99f, // 127.5, 253.7
      -0.993f,
      0.9999f // 0.89, 254.99
    };
    try (Scope _ = Scope.open()) {
      Tensor image = Tensor.of(TestDevice.backend(), planes, 3, 1, 2).to(TestDevice.device());
      assertThat(Pixels.toRgb(image))
          .containsExactly(0, 127, 0, (byte) 255, (byte) 253, (byte) 254);
    }
  }

  /** Rows come one after another. */
  @Test
  void goesRowByRow() {
    float[] planes = new float[3 * 2 * 3];
    for (int i = 0; i < planes.length; i++) {
      planes[i] = (i + 0.5f) / 127.5f - 1;
    }
    try (Scope _ = Scope.open()) {
      Tensor image = Tensor.of(TestDevice.backend(), planes, 3, 2, 3).to(TestDevice.device());
      assertThat(Pixels.toRgb(image))
          .containsExactly(0, 6, 12, 1, 7, 13, 2, 8, 14, 3, 9, 15, 4, 10, 16, 5, 11, 17);
    }
  }
}
