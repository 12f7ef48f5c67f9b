package io.heatkv.verify;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.heatkv.error.UserException;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.tensor.TensorException;
import io.heatkv.testkit.TestDevice;
import java.util.List;
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
