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

/** Every recorded value of VAR's golden folder, in float32. */
class GoldenVarTest {
  private static final List<Check> CHECKS = new ArrayList<>();
  private static final List<String> UNKNOWN = new ArrayList<>();
  private static long left;

  static List<Check> checks() {
    if (CHECKS.isEmpty()) {
      long live = TestDevice.backend().liveTensors();
      UNKNOWN.addAll(
          GoldenFolder.verify(
              TestDevice.resource("/golden-var/var-a"),
              TestDevice.backend(),
              TestDevice.device(),
              CHECKS::add));
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
    Map<String, Check> byName =
        checks().stream().collect(Collectors.toMap(Check::name, check -> check));
    int tokens = 55;
    for (String variant : List.of("plain", "saln")) {
      String traced = variant + " cfg 1.5 argmax ";
      int inputs = 2 * ((tokens + 1) * 64 + (tokens - 1) * 8);
      expect(byName, traced + "scale inputs", 1e-5, inputs);
      expect(byName, traced + "self-attention", 5e-5, 2 * 4 * (1 + 9) * 64);
      expect(byName, traced + "logits", 1e-4, 4 * tokens * 64);
      expect(byName, traced + "summed codes", 1e-5, 5 * 2 * 8 * 25);
      expect(byName, variant + " cfg 4 sampled probabilities", 1e-5, 2 * tokens * 64);
      for (String run :
          List.of("cfg 1.5 argmax", "cfg 1.5 sampled", "cfg 4 argmax", "cfg 4 sampled")) {
        expect(byName, variant + " " + run + " tokens", 0, 2 * tokens);
      }
      for (String run : List.of("cfg 1.5 argmax", "cfg 4 sampled")) {
        for (String budget : List.of("0.3", "0.5")) {
          String name = variant + " " + run + " pruned to " + budget;
          expect(byName, name + " tokens", 0, 2 * tokens);
          expect(byName, name + " schedule", 0, 5 * (2 + 3));
          expect(byName, name + " summed codes", 1e-5, 2 * 8 * 25);
        }
      }
      int heads = variant.equals("plain") ? 4 : 2;
      expect(byName, "calibration " + variant + " masses", 5e-6, 2 * 3 * heads * 3);
      expect(byName, "calibration " + variant + " scores", 1e-6, 3 * heads * 5);
      expect(byName, "calibration " + variant + " orders", 0, 2 * 3 * heads);
    }
    expect(byName, "plain cfg 1.5 argmax guided logits", 1e-4, 2 * tokens * 64);
    expect(byName, "plain cfg 4 sampled guided logits", 2e-4, 2 * tokens * 64);
    expect(byName, "plain cfg 1.5 argmax pixels", 1e-4, 3 * 80 * 80);
    expect(byName, "plain cfg 1.5 argmax bytes", 1, 2 * 3 * 80 * 80);
    expect(byName, "tokenizer tokens", 0, tokens);
    expect(byName, "tokenizer bytes", 1, 3 * 80 * 80);
    expect(byName, "tokenizer features", 1e-4, 2 * 8 * 25);
    expect(byName, "tokenizer by formula pixels", 1e-4, 3 * 48 * 48);
    expect(byName, "VAR filter", 1e-6, (1 + 2 + 2 + 1) * 3 * 64);
    expect(byName, "VAR shared convolutions", 0, 15 + 5 + 5);
    assertThat(UNKNOWN).isEmpty();
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
