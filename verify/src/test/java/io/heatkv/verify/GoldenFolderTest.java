package io.heatkv.verify;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.testkit.TestDevice;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every recorded value of the golden folder, in float32. */
class GoldenFolderTest {
  private static final List<Check> CHECKS = new ArrayList<>();
  private static long left;

  static List<Check> checks() {
    if (CHECKS.isEmpty()) {
      long live = TestDevice.backend().liveTensors();
      GoldenFolder.verify(
          TestDevice.resource("/golden/tiny-a"),
          TestDevice.backend(),
          TestDevice.device(),
          CHECKS::add);
      left = TestDevice.backend().liveTensors() - live;
    }
    return CHECKS;
  }

  @ParameterizedTest
  @MethodSource("checks")
  void agreesWithinItsTolerance(Check check) {
    assertThat(check.differing()).isZero();
    assertThat(check.largestError()).isLessThanOrEqualTo(check.tolerance());
    assertThat(check.passed()).isTrue();
  }

  /** Numbers of values and tolerances follow from the shapes and the table of the files' README. */
  @Test
  void comparesEverythingRecorded() {
    int[] tokens = {521, 533};
    Map<String, Check> byName =
        checks().stream().collect(Collectors.toMap(Check::name, check -> check));
    String[] templates = {"1.0", "1.5"};
    for (int i = 0; i < templates.length; i++) {
      String name = "full " + templates[i] + " ";
      expect(byName, name + "condition", 1e-5, 2 * 22 * 256 + 2 * 256 + 2 * 6 * 256);
      expect(
          byName,
          name + "scale inputs",
          1e-5,
          2 * 256 + (tokens[i] - 1) * 256 + (tokens[i] - 1) * 16);
      expect(byName, name + "self-attention", 5e-5, 2 * 2 * tokens[i] * 256);
      expect(byName, name + "logits", 1e-4, 3 * tokens[i] * 32);
      expect(byName, name + "bits", 0, tokens[i] * 16);
    }
    for (int i = 0; i < templates.length; i++) {
      for (String budget : new String[] {"0.3", "0.5"}) {
        String name = "pruned " + templates[i] + " to " + budget + " ";
        expect(byName, name + "schedule", 0, 7 * (2 + 4));
        expect(byName, name + "self-attention", 5e-5, tokens[i] * 256);
        expect(byName, name + "logits", 1e-4, 3 * tokens[i] * 32);
        expect(byName, name + "bits", 0, tokens[i] * 16);
      }
      String name = "calibration " + templates[i] + " ";
      expect(byName, name + "bits", 0, 3 * tokens[i] * 16);
      expect(byName, name + "scores", 1e-6, 4 * 4 * 7);
      expect(byName, name + "orders", 0, 3 * 16);
    }
    expect(byName, "full 1.0 summed codes", 1e-5, 16 * 16 * 16);
    expect(byName, "full 1.5 summed codes", 1e-5, 16 * 21 * 14);
    int pixels = 3 * 256 * 256 + 3 * 336 * 224;
    expect(byName, "decoded pixels", 1e-4, pixels);
    expect(byName, "decoded bytes", 1, pixels);
    expect(byName, "text encoder", 1e-4, (160 + 37) * 64);
    expect(byName, "text encoder position bias", 1e-6, 2 * 4 * 160);
    expect(byName, "codes of bits", 1e-6, 16 * 15);
    expect(byName, "rotary tables", 1e-5, 2 * 32 * (1834 + 1834 + 1745 + 1497 + 1616));
    int resized = 256 + 144 + 1 + 36 + 256 + 54 + 256 + 4096 + 2304 + 294 + 256;
    expect(byName, "interpolation", 1e-5, 2 * resized);
  }

  private static void expect(
      Map<String, Check> checks, String name, double tolerance, long compared) {
    assertThat(checks).containsKey(name);
    assertThat(checks.get(name).tolerance()).as(name).isEqualTo(tolerance);
    assertThat(checks.get(name).compared()).as(name).isEqualTo(compared);
  }

  @Test
  void freesAllTensors() {
    checks();
    assertThat(left).isZero();
  }
}
