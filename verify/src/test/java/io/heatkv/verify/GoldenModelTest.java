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

/** The embedded model against its recording by the official classes. */
class GoldenModelTest {
  private static final List<Check> CHECKS = new ArrayList<>();
  private static final int TOKENS = 2521;

  static List<Check> checks() {
    if (CHECKS.isEmpty()) {
      GoldenFolder.verify(
          TestDevice.model().folder(), TestDevice.backend(), TestDevice.device(), CHECKS::add);
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

  @Test
  void comparesEverythingRecorded() {
    Map<String, Long> compared =
        checks().stream().collect(Collectors.toMap(Check::name, Check::compared));
    long picture = 3 * 256 * 256;
    long codes = 16 * 32 * 32;
    assertThat(compared)
        .isEqualTo(
            Map.ofEntries(
                Map.entry("token ids", 10L),
                Map.entry("text features", 10L * 256),
                Map.entry("logits", TOKENS * 32L),
                Map.entry("bits of recorded uniforms", TOKENS * 16L),
                Map.entry("summed codes", codes),
                Map.entry("picture", picture),
                Map.entry("greedy bits", TOKENS * 16L),
                Map.entry("greedy picture", picture),
                Map.entry("encoder features", codes),
                Map.entry("encoder bits", TOKENS * 16L),
                Map.entry("encoder summed codes", codes),
                Map.entry("reconstructed picture", picture)));
  }
}
