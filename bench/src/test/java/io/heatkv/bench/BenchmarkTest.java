package io.heatkv.bench;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.cache.CachePolicy;
import io.heatkv.infinity.RotaryNormalization;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.scale.ScaleSchedule;
import io.heatkv.scale.ScaleSchedules;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.testkit.TestDevice;
import org.junit.jupiter.api.Test;

class BenchmarkTest {
  private static final TransformerConfig SMALL =
      new TransformerConfig(
          2, 64, 2, 256, 4, 128, 16, 2, true, RotaryNormalization.ROUNDED, true, false);
  private static final ScaleSchedule SCALES = ScaleSchedules.parse("1x1,2x2,4x4");

  private final Backend backend = TestDevice.backend();
  private final Workload workload = new Workload(SMALL, SCALES, 1, 3, CachePolicy.FULL, 2);

  @Test
  void operationsAreCountedAsByHand() {
    // Two rows of one token through 2 layers: 2 * 2 * (2 * (6 * 64^2 + 2 * 64 * 256 + 2 * 64 * 4)
    // + 2 * 64 * 4).
    assertThat(workload.flops(0)).isEqualTo(464_896);
    // Four tokens that see five and three of the text.
    assertThat(workload.flops(1)).isEqualTo(4 * 4 * (2 * (24_576 + 32_768 + 1024) + 512));
  }

  @Test
  void tokensOfFourPositionsAreTimedTooAndSoIsCalibration() {
    TransformerConfig patches =
        new TransformerConfig(
            2, 64, 2, 256, 16, 128, 16, 2, true, RotaryNormalization.ROUNDED, true, true);
    Workload full = new Workload(patches, SCALES, 2, 3, CachePolicy.FULL, 1);
    long before = backend.liveTensors();
    try (Benchmark benchmark = new Benchmark(patches, backend, TestDevice.device(), DType.F32)) {
      Measurement measured = benchmark.run(full);
      assertThat(measured.kv().storage()).isEqualTo(measured.need().cache());
      for (boolean peers : new boolean[] {false, true}) {
        assertThat(benchmark.calibrate(full, 1, peers).millis()).isPositive();
      }
    }
    assertThat(backend.liveTensors()).isEqualTo(before);
  }

  @Test
  void aRandomModelIsTimedScaleByScaleAndLeavesNothing() {
    long before = backend.liveTensors();
    try (Benchmark benchmark = new Benchmark(SMALL, backend, TestDevice.device(), DType.F32)) {
      Measurement measurement = benchmark.run(workload);
      assertThat(measurement.scaleMillis()).hasSize(3).allMatch(millis -> millis > 0);
      // Keys and values, 2 layers, 2 rows, 5 tokens, 64 channels, 4 bytes.
      assertThat(measurement.kv().storage()).isEqualTo(2 * 2 * 2 * 5 * 64 * 4);
      assertThat(measurement.text()).contains("policy full").contains("2x2");
    }
    assertThat(backend.liveTensors()).isEqualTo(before);
  }
}
