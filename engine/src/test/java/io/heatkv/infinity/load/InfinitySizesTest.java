package io.heatkv.infinity.load;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import io.heatkv.infinity.PublishedModel;
import io.heatkv.load.ModelSizes;
import io.heatkv.scale.AspectRatio;
import io.heatkv.scale.ScaleGrids;
import java.util.Collections;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is left out follows the model; grids are those of the official dynamic resolution. */
class InfinitySizesTest {
  // The scales of 0.25M at 3:4, which is 4/3 high.
  private static final String TALL = "1x1,2x2,4x3,8x6,12x9,16x12,20x15,24x18,28x21,36x27";

  private static ModelSizes model(String grids) {
    return new RandomInfinity("a", PublishedModel.LAYER12.transformer(), ScaleGrids.parse(grids));
  }

  private static ScaleGrids grids(
      ModelSizes model, @Nullable String resolution, @Nullable String aspect) {
    return model.grids(
        Optional.ofNullable(resolution), Optional.ofNullable(aspect).map(AspectRatio::parse));
  }

  @ParameterizedTest
  @CsvSource({
    // own grids; of the model's ratio; of the model's number of scales
    ",, 10, 36x27",
    "1M,, 13, 72x54",
    "0.06M,, 7, 20x15",
    ", 1:1, 10, 32x32",
    ", 16:9, 10, 24x42",
    "0.60M, 1:3, 12, 90x30",
    "0.06M, 3:1, 7, 9x27"
  })
  void whatIsLeftOutFollowsTheModel(
      @Nullable String resolution, @Nullable String aspect, int count, String last) {
    ScaleGrids grids = grids(model(TALL), resolution, aspect);
    assertThat(grids.count()).isEqualTo(count);
    assertThat(grids.last()).hasToString(last);
  }

  /** A model of a number of scales that no resolution has draws the largest. */
  @ParameterizedTest
  @CsvSource({"'1x1,2x2', 64x64", "'1x1,2x2,3x3,4x4,5x5,6x6,7x7', 16x16"})
  void otherModelsDrawTheLargestResolution(String own, String last) {
    assertThat(grids(model(own), null, "1:1").last()).hasToString(last);
  }

  @ParameterizedTest
  @CsvSource({
    "0.5M,, 'resolution ''0.5M'' is unknown; expected 0.06M, 0.25M, 0.60M, 1M'",
    ", 4:1, aspect ratio '4:1' is out of range; expected 1:3 to 3:1"
  })
  void othersAreRefused(@Nullable String resolution, @Nullable String aspect, String message) {
    assertThatThrownBy(() -> grids(model(TALL), resolution, aspect))
        .isInstanceOf(UserException.class)
        .hasMessage(message);
  }

  /** 15 templates at the model's own resolution and the smaller ones; foreign grids stand alone. */
  @Test
  void templatesUpToTheOwnResolutionAreOffered() {
    assertThat(model(TALL).offeredGrids())
        .hasSize(2 * 15)
        .startsWith(ScaleGrids.parse(TALL))
        .doesNotHaveDuplicates()
        .allMatch(grids -> grids.count() == 7 || grids.count() == 10);
    assertThat(model("1x1,2x2").offeredGrids()).containsExactly(ScaleGrids.parse("1x1,2x2"));
  }

  /** The published transformers learned 15 scales. */
  @Test
  void moreScalesThanItLearnedAreRefused() {
    String scales = String.join(",", Collections.nCopies(15, "2x2"));
    assertThatCode(() -> model(TALL).requireDrawable(ScaleGrids.parse(scales)))
        .doesNotThrowAnyException();
    assertThatThrownBy(() -> model(TALL).requireDrawable(ScaleGrids.parse(scales + ",2x2")))
        .isInstanceOf(UserException.class)
        .hasMessage("the picture has 16 scales; model a draws at most 15");
  }
}
