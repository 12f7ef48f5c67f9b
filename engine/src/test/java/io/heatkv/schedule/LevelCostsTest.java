package io.heatkv.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.error.Remedy;
import io.heatkv.error.UserException;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.profile.PromptMeasurement;
import io.heatkv.profile.PromptSet;
import io.heatkv.scale.ScaleGrids;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Costs of levels, and the profiles that hold them. */
class LevelCostsTest {
  private static final CalibrationSetup SETUP =
      new CalibrationSetup(
          "m",
          "ab",
          2,
          2,
          ScaleGrids.parse("1x1,2x2,3x3,4x4"),
          1,
          List.of(3.0),
          List.of(1.0),
          1,
          0,
          32);
  private static final LevelShape SHAPE = LevelShape.of(2, 2, 32, 2, SETUP.grids(), 1);

  @TempDir private Path folder;

  private static CalibrationProfile start(String... prompts) {
    return CalibrationProfile.start(SETUP, PromptSet.of(List.of(prompts), 0));
  }

  /** Levels cost the less the higher their number. */
  private static double[][][][] costs(double factor) {
    double[][][][] costs = new double[3][2][2][LevelCosts.LEVELS];
    for (double[][][] source : costs) {
      for (double[][] layer : source) {
        for (double[] head : layer) {
          for (int i = 0; i < head.length; i++) {
            head[i] = factor * (head.length - i);
          }
        }
      }
    }
    return costs;
  }

  private static CalibrationProfile plus(CalibrationProfile profile, double factor) {
    return profile.plus(
        new PromptMeasurement(
            new double[4][4][2][2], Optional.empty(), new double[3][2][2], costs(factor)));
  }

  @Test
  void mergingAddsUpExactlyInAnyOrder() throws IOException {
    CalibrationProfile a = plus(start("a"), 0.1);
    CalibrationProfile b = plus(start("b"), 0.3);
    CalibrationProfile c = plus(start("c"), 0.7);
    Path one = folder.resolve("one.json");
    Path other = folder.resolve("other.json");
    CalibrationProfile.merge(List.of(a, b, c)).write(one);
    CalibrationProfile.merge(List.of(c, a, b)).write(other);
    assertThat(Files.readString(one)).isEqualTo(Files.readString(other));
    CalibrationProfile read = CalibrationProfile.read(one);
    assertThat(read.setup().headDim()).isEqualTo(32);
    assertThat(read.levelCosts().cost(0, 1, 1, 0)).isCloseTo(17 * 1.1 / 3, within(1e-9));
    assertThat(read.levelCosts().cost(2, 0, 1, 16)).isCloseTo(1.1 / 3, within(1e-9));
  }

  @Test
  void aResumedCalibrationEndsInTheSameDigits() throws IOException {
    Path partial = folder.resolve("p.partial");
    PromptSet set = PromptSet.of(List.of("a", "b"), 0);
    plus(start("a", "b"), 0.1).write(partial);
    Path resumed = folder.resolve("resumed.json");
    plus(CalibrationProfile.resume(partial, SETUP, set), 0.3).write(resumed);
    Path whole = folder.resolve("whole.json");
    plus(plus(start("a", "b"), 0.1), 0.3).write(whole);
    assertThat(Files.readString(resumed)).isEqualTo(Files.readString(whole));
  }

  /** Also where nothing is spent: a rule never stands in for another. */
  @ParameterizedTest
  @ValueSource(doubles = {0.5, 1})
  void profilesWithoutThemServeTheOlderRulesAlone(double budget) throws IOException {
    Path file = folder.resolve("old.json");
    plus(start("a"), 1).write(file);
    String old =
        Files.readString(file)
            .replaceFirst("(?s),\\s*\"level_costs\" : \\{.*?\\n {2}\\}", "")
            .replaceFirst("\"version\" : 2", "\"version\" : 1")
            .replaceFirst("\\s*\"head_dim\" : 32,", "");
    Files.writeString(file, old);
    CalibrationProfile profile = CalibrationProfile.read(file);
    assertThat(profile.setup().headDim()).isZero();
    for (Allocation rule : List.of(Allocation.GREEDY, Allocation.PAPER)) {
      assertThat(rule.schedule(SHAPE, profile, budget, LevelSet.ALL).budget()).isEqualTo(budget);
    }
    assertThatThrownBy(
            () -> Allocation.RATE_DISTORTION.schedule(SHAPE, profile, budget, LevelSet.ALL))
        .isInstanceOfSatisfying(
            UserException.class, e -> assertThat(e.remedy()).contains(Remedy.CALIBRATION))
        .hasMessageStartingWith(file + " has no level costs")
        .hasMessageContaining("calibrate again, or choose allocation greedy or paper");
    CalibrationProfile merged = CalibrationProfile.merge(List.of(profile, plus(start("b"), 1)));
    assertThatThrownBy(merged::levelCosts).isInstanceOf(UserException.class);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          "version" : 2                     | "version" : 3            | has version 3; expected 1 to 2
          "version" : 2                     | "version" : 0            | version is 0
          "head_dim" : 32,                  |                          | level_costs and head_dim
          "head_dim" : 32                   | "head_dim" : 31          | expected an even number
          "head_dim" : 32                   | "head_dim" : -2          | head_dim
          "sum_unit" : 1.4551915228366852E-11 | "sum_unit" : 0.5       | sum_unit is 0.5
          [ 1168231104512,                  | [                        | level_costs.sums
          [ 1168231104512,                  | [ 1, 1168231104512,      | level_costs.sums
          [ 1168231104512,                  | [ 0.5,                   | whole number
          [ 1168231104512,                  | [ "NaN",                 | whole number
          [ 1168231104512,                  | [ 9000000000000000,      | impossible for 1 prompts
          """)
  void refusesDamagedAndNewerProfiles(String found, String instead, String message)
      throws IOException {
    Path file = folder.resolve("damaged.json");
    plus(start("a"), 1).write(file);
    String text = Files.readString(file);
    assertThat(text).contains(found);
    int at = text.lastIndexOf(found);
    String by = instead == null ? "" : instead;
    Files.writeString(file, text.substring(0, at) + by + text.substring(at + found.length()));
    assertThatThrownBy(() -> CalibrationProfile.read(file))
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith(file.toString())
        .hasMessageContaining(message)
        .message()
        .doesNotContain("\n");
  }

  @ParameterizedTest
  @CsvSource({"NaN, 0, removing", "Infinity, 5, level 16:1/2 of", "65537, 16, level 4:1/8 of"})
  void refusesCostsThatAreNoNumbers(double cost, int level, String what) {
    double[][][][] costs = costs(0);
    costs[1][0][1][level] = cost;
    assertThatThrownBy(() ->
            start("a")
                .plus(
                    new PromptMeasurement(
                        new double[4][4][2][2], Optional.empty(), new double[3][2][2], costs)))
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith(what + " scale 1 in layer 0, head 1 costs " + cost);
  }
}
