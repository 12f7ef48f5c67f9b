package io.heatkv.profile;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.CalibrationSetup;
import io.heatkv.schedule.LevelCosts;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What of two profiles is compared, and which aren't. */
class ProfileComparisonTest {
  private static final CalibrationSetup SETUP = setup("ab", 2, "1x1,2x2,3x3");
  private static final double[][][][] MASSES = new double[3][3][2][2];

  private static CalibrationSetup setup(String fingerprint, int heads, String scales) {
    return new CalibrationSetup(
        "m",
        fingerprint,
        2,
        heads,
        ScaleGrids.parse(scales),
        1,
        List.of(3.0),
        List.of(1.0),
        1,
        0,
        32);
  }

  private static CalibrationProfile start(CalibrationSetup setup, String... prompts) {
    return CalibrationProfile.start(setup, PromptSet.of(List.of(prompts), 0));
  }

  private static CalibrationProfile whole(String prompt) {
    return start(SETUP, prompt)
        .plus(
            new PromptMeasurement(
                MASSES,
                Optional.empty(),
                new double[2][2][2],
                new double[2][2][2][LevelCosts.LEVELS]));
  }

  @Test
  void whatAProfileLacksIsSaid() {
    ProfileComparison full = ProfileComparison.of(whole("a"), whole("b"));
    assertThat(full.missing()).isEmpty();
    assertThat(full.levelCosts()).isPresent();
    assertThat(full.removalCosts()).isPresent();
    assertThat(full.schedules())
        .extracting(ProfileComparison.Transfer::budget)
        .containsExactly(0.1, 0.05, 0.025, 0.0125);
    assertThat(full.sharedPrompts()).isZero();
    assertThat(ProfileComparison.of(whole("a"), whole("a")).sharedPrompts()).isEqualTo(1);

    ProfileComparison old = ProfileComparison.of(whole("a"), start(SETUP, "b").plus(MASSES));
    assertThat(old.missing())
        .containsExactly(
            "this calibration has no removal costs", "this calibration has no level costs");
    assertThat(old.removalCosts()).isEmpty();
    assertThat(old.levelCosts()).isEmpty();
    assertThat(old.schedules()).isEmpty();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          cd | 2 | 1x1,2x2,3x3 | model fingerprint
          ab | 3 | 1x1,2x2,3x3 | heads
          ab | 2 | 1x1,2x2,4x4 | scales
          """)
  void othersAreRefused(String fingerprint, int heads, String scales, String named) {
    CalibrationProfile other =
        start(setup(fingerprint, heads, scales), "b").plus(new double[3][3][2][heads]);
    assertThatThrownBy(() -> ProfileComparison.of(whole("a"), other))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("has " + named)
        .hasMessageContaining("same model and scales");
  }

  @Test
  void otherGuidanceIsCompared() {
    CalibrationSetup warm =
        new CalibrationSetup("m", "ab", 2, 2, SETUP.grids(), 0, List.of(1.0), List.of(0.5), 0.9);
    assertThat(ProfileComparison.of(whole("a"), start(warm, "a").plus(MASSES)).sharedPrompts())
        .isEqualTo(1);
  }

  @Test
  void unfinishedOnesAreRefused() {
    assertThatThrownBy(() -> ProfileComparison.of(whole("a"), start(SETUP, "b")))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("0 of 1 prompts; finish");
  }
}
