package io.heatkv.bench;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.cache.CachePolicy;
import io.heatkv.load.RandomModel;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.testkit.TestDevice;
import io.heatkv.testkit.toy.ToyFamily;
import org.junit.jupiter.api.Test;

class BenchmarkTest {
  private static final RandomModel SIZES = new ToyFamily().random(ToyFamily.SIZE);
  private static final ScaleGrids SCALES = ScaleGrids.parse("1x1,2x2,4x4");

  private final Backend backend = TestDevice.backend();
  private final Workload workload = new Workload(SIZES, SCALES, 1, CachePolicy.FULL, 2);

  @Test
  void aRandomModelIsTimedScaleByScaleAndLeavesNothing() {
    long before = backend.liveTensors();
    try (Benchmark benchmark = new Benchmark(SIZES, backend, TestDevice.device(), DType.F32)) {
      Measurement measurement = benchmark.run(workload);
      assertThat(measurement.scaleMillis()).hasSize(3).allMatch(millis -> millis > 0);
      // Keys and values, 3 layers, 2 rows, 5 tokens, 32 channels, 4 bytes.
      assertThat(measurement.kv().storage()).isEqualTo(2 * 3 * 2 * 5 * 32 * 4);
      assertThat(measurement.need().cache()).isEqualTo(measurement.kv().storage());
      assertThat(measurement.text()).contains("policy full").contains("2x2");
      for (boolean peers : new boolean[] {false, true}) {
        assertThat(benchmark.calibrate(workload, 1, peers).millis()).isPositive();
      }
      assertThat(benchmark.decodeMillis(SCALES)).isPositive();
    }
    assertThat(backend.liveTensors()).isEqualTo(before);
  }
}
