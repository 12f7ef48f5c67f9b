package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.json.JsonObject;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class SyntheticBenchTest {
  @Test
  void tellsTimesRatesAndMemory() {
    Run run =
        Run.of(
            "bench",
            "--model=synth:emoji",
            "--scales=1x1,2x2,3x3,4x4,5x5,6x6",
            "--budgets=1.0,0.9",
            "--repeats=1",
            "--calibration",
            "--json");
    assertThat(run.status()).as(run.err()).isZero();
    JsonObject json = JsonObject.parse(Path.of("standard output"), run.out());
    assertThat(json.number("calibration_ratio"))
        .isEqualTo(json.number("calibration_ms") / json.number("generation_ms"));
    // 12 layers, 2 rows, keys and values, 320 channels, 55 tokens before the last scale, 4 bytes.
    assertThat(run.out()).contains("\"kv_bytes\" : " + 12 * 2 * 2 * 320 * 55 * 4);
    assertThat(run.out())
        .contains("\"policy\" : \"heatkv\"", "\"scales_tflops\"", "\"scratch_bytes\"");
  }

  @Test
  void whatCantFitIsRefusedInOneLine() {
    Run run = Run.of("bench", "--model=synth:infinity-20b", "--batch=1000");
    assertThat(run.status()).isEqualTo(2);
    assertThat(run.err())
        .startsWith("heatkv: not enough memory on cpu for 1000 pictures at once: about ")
        .hasLineCount(1);
  }

  @Test
  void onlyRandomModelsAreCalibratedByBench() {
    assertThat(Run.of("bench", "--calibration").err())
        .startsWith("heatkv: --calibration and --decoder time random models")
        .hasLineCount(1);
  }
}
