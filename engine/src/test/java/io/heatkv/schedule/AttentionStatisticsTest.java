package io.heatkv.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.error.UserException;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.profile.PromptSet;
import io.heatkv.scale.ScaleGrids;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AttentionStatisticsTest {
  private static final CalibrationSetup SETUP =
      new CalibrationSetup(
          "m", "ab", 2, 1, ScaleGrids.parse("1x1,2x2,3x3"), 1, List.of(3.0), List.of(1.0), 1);

  @TempDir private Path folder;

  private static CalibrationProfile start(String prompt) {
    return CalibrationProfile.start(SETUP, PromptSet.of(List.of(prompt), 0));
  }

  private static double[][][][] masses() {
    return new double[3][3][2][1];
  }

  private static PromptStatistics prompt(double value) {
    return new PromptStatistics(
        new double[][] {{9, 9}, {value, 0.5}, {0.25, 0}},
        new double[][] {{0.75}, {value}},
        new double[] {2, value});
  }

  @Test
  void meansComeBackFromTheFile() {
    Path file = folder.resolve("p.json");
    start("a").plus(masses(), prompt(0.3)).write(file);
    AttentionStatistics read = CalibrationProfile.read(file).statistics();
    assertThat(read.prompts()).isEqualTo(1);
    assertThat(read.selectivity(1, 0)).isCloseTo(0.3, within(1e-12));
    assertThat(read.selectivity(1, 1)).isEqualTo(0.5);
    assertThat(read.selectivity(2, 0)).isEqualTo(0.25);
    assertThat(read.variance(0, 0)).isEqualTo(0.75);
    assertThat(read.variance(1, 0)).isCloseTo(0.3, within(1e-12));
    assertThat(read.distance(0)).isEqualTo(2);
    assertThat(read.distance(1)).isCloseTo(0.3, within(1e-12));
  }

  @Test
  void mergingAddsUpExactlyInAnyOrder() throws IOException {
    CalibrationProfile a = start("a").plus(masses(), prompt(0.1));
    CalibrationProfile b = start("b").plus(masses(), prompt(0.4));
    Path ab = folder.resolve("ab.json");
    Path ba = folder.resolve("ba.json");
    CalibrationProfile.merge(List.of(a, b)).write(ab);
    CalibrationProfile.merge(List.of(b, a)).write(ba);
    assertThat(Files.readString(ab)).isEqualTo(Files.readString(ba));
    assertThat(CalibrationProfile.read(ab).statistics().selectivity(1, 0))
        .isCloseTo(0.25, within(1e-12));
  }

  @Test
  void profilesWithoutThemStayUsable() throws IOException {
    Path file = folder.resolve("old.json");
    CalibrationProfile old = start("a").plus(masses());
    old.write(file);
    assertThat(Files.readString(file)).doesNotContain("statistics");
    CalibrationProfile read = CalibrationProfile.read(file);
    assertThat(read.orders()).isEqualTo(old.orders());
    assertThatThrownBy(read::statistics)
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith(file + " has no attention statistics")
        .hasMessageContaining("calibrate again");
    CalibrationProfile merged =
        CalibrationProfile.merge(List.of(read, start("b").plus(masses(), prompt(0.1))));
    assertThatThrownBy(merged::statistics).isInstanceOf(UserException.class);
  }

  @Test
  void refusesImpossibleValuesAndFiles() throws IOException {
    assertThatThrownBy(() -> start("a").plus(masses(), prompt(Double.NaN)))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("NaN");
    Path file = folder.resolve("p.json");
    start("a").plus(masses(), prompt(0.3)).write(file);
    String text = Files.readString(file);
    String rows =
        text.substring(text.indexOf("\"attention_variance\""), text.indexOf("\"key_dist"));
    for (String wrong : List.of("[]", "[[1]]", "[[1],[2,3]]", "[[1],[-1]]", "[[1],[\"x\"]]", "7")) {
      Files.writeString(file, text.replace(rows, "\"attention_variance\":" + wrong + ","));
      assertThatThrownBy(() -> CalibrationProfile.read(file))
          .as(wrong)
          .isInstanceOf(UserException.class)
          .hasMessageStartingWith(file.toString());
    }
  }
}
