package io.heatkv.verify;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.load.ModelSource;
import io.heatkv.testkit.TestDevice;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The embedded models against their recordings by the official classes. */
class GoldenModelTest {
  private static final Map<String, List<Check>> CHECKS = new HashMap<>();

  static List<Check> checks(String model) {
    return CHECKS.computeIfAbsent(
        model,
        name -> {
          List<Check> checks = new ArrayList<>();
          GoldenFolder.verify(
              ModelSource.find(name).folder(),
              TestDevice.backend(),
              TestDevice.device(),
              checks::add);
          return checks;
        });
  }

  static Stream<Check> checks() {
    return Stream.of("emoji", "emoji-512").flatMap(model -> checks(model).stream());
  }

  @ParameterizedTest
  @MethodSource("checks")
  void agreesWithinItsTolerance(Check check) {
    assertThat(check.differing()).isZero();
    assertThat(check.largestError()).isLessThanOrEqualTo(check.tolerance());
    assertThat(check.passed()).isTrue();
  }

  private static Map<String, Long> compared(String model) {
    return checks(model).stream().collect(Collectors.toMap(Check::name, Check::compared));
  }

  /** What both recordings have. */
  private static Map<String, Long> drawn(long tokens, long edge) {
    long picture = 3 * (8 * edge) * (8 * edge);
    return new HashMap<>(
        Map.of(
            "token ids", 10L,
            "text features", 10L * 256,
            "logits", tokens * 32,
            "bits of recorded uniforms", tokens * 16,
            "summed codes", 16 * edge * edge,
            "picture", picture));
  }

  @Test
  void comparesEverythingRecorded() {
    Map<String, Long> expected = drawn(2521, 32);
    expected.put("greedy bits", 2521L * 16);
    expected.put("greedy picture", 3L * 256 * 256);
    expected.put("encoder features", 16L * 32 * 32);
    expected.put("encoder bits", 2521L * 16);
    expected.put("encoder summed codes", 16L * 32 * 32);
    expected.put("reconstructed picture", 3L * 256 * 256);
    assertThat(compared("emoji")).isEqualTo(expected);
  }

  @Test
  void comparesEverythingRecordedOfThirteenScales() {
    assertThat(compared("emoji-512")).isEqualTo(drawn(10_521, 64));
  }
}
