package io.heatkv.cli.options;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.scale.GridParser;
import io.heatkv.scale.ScaleGrids;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is left out follows the model; grids are those of the official dynamic resolution. */
class ScaleOptionsTest {
  // The scales of 0.25M at 3:4, which is 4/3 high.
  private static final ScaleGrids TALL =
      GridParser.parse("1x1,2x2,4x3,8x6,12x9,16x12,20x15,24x18,28x21,36x27");

  @ParameterizedTest
  @CsvSource({
    // own scales; of the model's ratio; of the model's number of scales
    ",,,, 10, 36x27",
    ", 1M,,, 13, 72x54",
    ", 0.06M,,, 7, 20x15",
    "1:1,,,, 10, 32x32",
    "16:9,,,, 10, 24x42",
    "1:3, 0.60M,,, 12, 90x30",
    // a standard resolution takes the place of the model's scales only
    ",,, 1M, 13, 72x54",
    "1:1,,, 1M, 10, 32x32",
    ", 0.06M,, 1M, 7, 20x15",
    // a list needs no model
    ",, 0.06M,, 7, 16x16",
    "3:1,, 0.06M,, 7, 9x27",
    ",, 7x9, 1M, 1, 7x9"
  })
  void whatIsLeftOutFollowsTheModel(
      @Nullable String aspectRatio,
      @Nullable String resolution,
      @Nullable String scales,
      @Nullable String standard,
      int count,
      String last) {
    ScaleOptions options = new ScaleOptions();
    options.aspectRatio = aspectRatio;
    options.resolution = resolution;
    options.scales = scales;
    ScaleGrids grids = options.grids(TALL, Optional.ofNullable(standard));
    assertThat(grids.count()).isEqualTo(count);
    assertThat(grids.last()).hasToString(last);
    assertThat(options.areGiven())
        .isEqualTo(aspectRatio != null || resolution != null || scales != null);
    if (standard == null) {
      assertThat(options.grids(TALL)).isEqualTo(grids);
    }
  }

  /** A model of a number of scales that no resolution has draws the largest. */
  @ParameterizedTest
  @CsvSource({"'1x1,2x2', 64x64", "'1x1,2x2,3x3,4x4,5x5,6x6,7x7', 16x16"})
  void otherModelsDrawTheLargestResolution(String own, String last) {
    ScaleOptions options = new ScaleOptions();
    options.aspectRatio = "1:1";
    assertThat(options.grids(GridParser.parse(own)).last()).hasToString(last);
  }
}
