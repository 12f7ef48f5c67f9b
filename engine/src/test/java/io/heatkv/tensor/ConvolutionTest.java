package io.heatkv.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.TestDevice;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Against the sum that defines it: a native library got some numbers of channels wrong. */
class ConvolutionTest {
  private static final int EDGE = 40;
  private static final int SAMPLES = 300;

  private final Backend backend = TestDevice.backend();

  @ParameterizedTest
  @CsvSource({
    "24, 32, 3, 1", "24, 8, 1, 1", "24, 24, 3, 2", "14, 24, 3, 1", "3, 16, 3, 1", "32, 3, 3, 1",
    "17, 5, 3, 1", "20, 24, 3, 1", "40, 16, 3, 1", "16, 24, 3, 2", "104, 8, 3, 1", "64, 14, 3, 1"
  })
  void sumsOverAllChannels(int in, int out, int size, int stride) {
    long live = backend.liveTensors();
    Random random = new Random(7);
    float[] x = floats(random, in * EDGE * EDGE);
    float[] weight = floats(random, out * in * size * size);
    float[] bias = floats(random, out);
    int padding = size / 2;
    try (Scope _ = Scope.open()) {
      Tensor result =
          Ops.conv2d(
              tensor(x, 1, in, EDGE, EDGE),
              tensor(weight, out, in, size, size),
              tensor(bias, out),
              stride,
              padding);
      int width = Math.toIntExact(result.size(3));
      float[] actual = result.toFloats();
      assertThat(actual).hasSize(out * width * width);
      for (int i = 0; i < SAMPLES; i++) {
        int channel = random.nextInt(out);
        int row = random.nextInt(width);
        int column = random.nextInt(width);
        double sum = bias[channel];
        for (int c = 0; c < in; c++) {
          for (int dy = 0; dy < size; dy++) {
            for (int dx = 0; dx < size; dx++) {
              int y = row * stride + dy - padding;
              int z = column * stride + dx - padding;
              if (y >= 0 && z >= 0 && y < EDGE && z < EDGE) {
                sum +=
                    (double) x[(c * EDGE + y) * EDGE + z]
                        * weight[((channel * in + c) * size + dy) * size + dx];
              }
            }
          }
        }
        assertThat((double) actual[(channel * width + row) * width + column])
            .as("seed 7, output %d at %d, %d", channel, row, column)
            .isCloseTo(sum, within(1e-3));
      }
    }
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  private Tensor tensor(float[] values, long... shape) {
    return Tensor.of(backend, values, shape).to(TestDevice.device());
  }

  private static float[] floats(Random random, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }
}
