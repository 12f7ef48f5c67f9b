package io.heatkv.load;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.Remedy;
import io.heatkv.error.UserException;
import io.heatkv.infinity.load.InfinityDescription;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.profile.PromptSet;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.Budget;
import io.heatkv.schedule.PruningSchedule;
import io.heatkv.schedule.ScheduleShape;
import io.heatkv.text.PromptFiles;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The embedded model's own profile, and what doesn't fit it. */
class ModelProfileTest {
  private static final InfinityDescription EMOJI =
      (InfinityDescription) ModelSource.find(ModelSource.EMBEDDED);

  @TempDir Path folder;

  @Test
  void theEmbeddedProfileIsWhatTheModelCardSays() {
    CalibrationProfile profile = ModelProfile.find(EMOJI, EMOJI.grids(), Optional.empty());
    assertThat(profile.promptSets())
        .containsExactly(
            PromptSet.of(PromptFiles.read(EMOJI.folder().resolve("prompts/calibration.txt")), 0));
    assertThat(profile.prompts()).isEqualTo(64);
    assertThat(profile.setup().sinkScales()).isEqualTo(3);
    assertThat(profile.setup().cfg()).containsExactly(EMOJI.cfg());
    assertThat(profile.setup().tau()).containsExactly(EMOJI.tau());
    assertThat(profile.setup().topP()).isEqualTo(EMOJI.topP());
  }

  @Test
  void otherScalesAreRefused() {
    assertThatThrownBy(
            () -> ModelProfile.find(EMOJI, ScaleGrids.parse("1x1,2x2,4x4"), Optional.empty()))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("scales 1x1,2x2,4x4,6x6,8x8,12x12")
        .hasMessageContaining("scales 1x1,2x2,4x4 are asked for");
  }

  @Test
  void anUnfinishedProfileIsRefused() throws Exception {
    CalibrationProfile whole = ModelProfile.find(EMOJI, Optional.empty());
    Path file = folder.resolve("a.heatkv.json.partial");
    CalibrationProfile.start(whole.setup(), whole.promptSets().getFirst()).write(file);
    assertThatThrownBy(() -> ModelProfile.find(EMOJI, Optional.of(file)))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("has done 0 of 64 prompts");
  }

  @Test
  void aModelWithoutAProfileSaysHowToMakeOne() throws Exception {
    String json = Files.readString(EMOJI.folder().resolve("model.json"));
    Files.writeString(folder.resolve("model.json"), json.replace("\"calibration\"", "\"other\""));
    InfinityDescription model = InfinityDescription.read(folder);
    assertThat(model.profile()).isEmpty();
    assertThatThrownBy(() -> ModelProfile.find(model, Optional.empty()))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("calibrate it")
        .extracting(e -> ((UserException) e).remedy())
        .isEqualTo(Optional.of(Remedy.CALIBRATION));
    Files.writeString(
        folder.resolve("model.json"), json.replace("emoji.heatkv.json", "../emoji.heatkv.json"));
    assertThatThrownBy(() -> InfinityDescription.read(folder))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("outside the model's folder");
  }

  /**
   * A size and the ratio that it is of the full cache give one schedule; 512 bytes a head-token.
   */
  @Test
  void bytesAreARatioOfTheFullCache() {
    CalibrationProfile profile = ModelProfile.find(EMOJI, Optional.empty());
    ScheduleShape shape = ScheduleShape.of(12, 10, EMOJI.grids(), 3);
    long full = 120L * 1497 * 512;
    for (double ratio : new double[] {0.05, 0.123, 0.5, 1}) {
      long bytes = (long) Math.floor(ratio * full);
      PruningSchedule schedule =
          PruningSchedule.of(shape, profile.orders(), new Budget.Bytes(bytes), full);
      assertThat(schedule.peakTokens() * 512).isLessThanOrEqualTo(bytes);
      assertThat(schedule.sha256())
          .isEqualTo(PruningSchedule.of(shape, profile.orders(), bytes / (double) full).sha256());
    }
    // 120 heads of 21 sink tokens.
    assertThatThrownBy(
            () -> PruningSchedule.of(shape, profile.orders(), new Budget.Bytes(1000), full))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("at least 1290240 bytes");
  }
}
