package io.heatkv.verify;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.heatkv.error.UserException;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.tensor.TensorException;
import io.heatkv.testkit.TestDevice;
import java.util.List;
import java.util.Random;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The steps of a block on the device under test: operators on the CPU, own kernels on CUDA. */
class KernelChecksTest {
  private final Backend backend = TestDevice.backend();

  @ParameterizedTest
  @ValueSource(longs = {1, 20_261_124})
  void stepsAgreeWithFloat64(long seed) {
    long before = backend.liveTensors();
    List<Check> checks = KernelChecks.run(backend, TestDevice.device(), seed);
    assertThat(checks).as("seed %d", seed).hasSizeGreaterThan(200).allMatch(Check::passed);
    assertThat(backend.liveTensors()).isEqualTo(before);
  }

  @Test
  void checksFailWhereValuesDiffer() {
    Comparison comparison = new Comparison("values", 1e-3);
    comparison.add(new double[] {1, 2}, new double[] {1, 2.01}, "values");
    comparison.report(check -> assertThat(check.passed()).isFalse());
  }

  @Test
  void cudaDevicesHaveOwnKernels() {
    assumeTrue(TestDevice.device().isCuda(), "runs with -Dheatkv.device=cuda only");
    assertThat(backend.ops(TestDevice.device()).description()).startsWith("own kernels");
  }

  /**
   * Queries, keys and values that lie in a projection give what copies of them give, bit for bit.
   */
  @ParameterizedTest
  @ValueSource(ints = {1, 63, 64, 65, 400})
  void stridesDontChangeBits(int tokens) {
    assumeTrue(TestDevice.device().isCuda(), "runs with -Dheatkv.device=cuda only");
    DeviceOps ops = backend.ops(TestDevice.device());
    Random random = new Random(tokens);
    for (DType dtype : List.of(DType.F32, DType.F16, DType.BF16)) {
      try (Scope _ = Scope.open()) {
        Tensor current = values(random, dtype, 2, tokens, 3, 4, 64).permute(2, 0, 3, 1, 4);
        Tensor earlier = values(random, dtype, 2, 2, 4, 77, 64);
        float[][] both = new float[2][];
        for (int i = 0; i < both.length; i++) {
          Tensor own = i == 0 ? current : current.contiguous();
          both[i] =
              ops.attentionOverBoth(
                      own.select(0, 0),
                      own.select(0, 1),
                      own.select(0, 2),
                      earlier.select(0, 0),
                      earlier.select(0, 1),
                      0.125)
                  .toFloats();
        }
        assertThat(both[0]).as("%s", dtype).isEqualTo(both[1]);
      }
    }
  }

  private Tensor values(Random random, DType dtype, long... shape) {
    float[] x = new float[Math.toIntExact(LongStream.of(shape).reduce(1, Math::multiplyExact))];
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return Tensor.of(backend, x, shape).to(dtype).to(TestDevice.device());
  }

  @Test
  void missingDevicesAreRefusedInOneLine() {
    assertThatThrownBy(() -> backend.require(Device.cuda(99)))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("cuda:99")
        .hasMessageNotContaining("\n");
  }

  @Test
  void viewsBeyondATensorAreRefused() {
    long before = backend.liveTensors();
    try (Scope _ = Scope.open()) {
      Tensor x = Tensor.of(backend, new float[] {1, 2, 3, 4, 5, 6}, 2, 3);
      assertThatThrownBy(() -> x.narrow(1, 2, 2)).isInstanceOf(TensorException.class);
      assertThatThrownBy(() -> x.narrow(0, -1, 1)).isInstanceOf(TensorException.class);
      assertThatThrownBy(() -> x.select(0, 2)).isInstanceOf(TensorException.class);
      assertThatThrownBy(() -> x.select(2, 0)).isInstanceOf(TensorException.class);
      assertThatThrownBy(() -> x.reshape(4, 2)).isInstanceOf(TensorException.class);
      assertThatThrownBy(() -> x.reshape(-1, 4)).isInstanceOf(TensorException.class);
      assertThatThrownBy(() -> x.permute(0)).isInstanceOf(TensorException.class);
      assertThat(x.transpose(0, 1).narrow(0, 1, 2).toFloats()).containsExactly(2, 5, 3, 6);
      assertThat(x.transpose(0, 1).reshape(2, 3).toFloats()).containsExactly(1, 4, 2, 5, 3, 6);
      assertThat(x.select(-1, 1).unsqueeze(0).toFloats()).containsExactly(2, 5);
    }
    assertThat(backend.liveTensors()).isEqualTo(before);
  }
}
