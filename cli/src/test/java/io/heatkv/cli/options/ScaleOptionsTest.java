package io.heatkv.cli.options;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import io.heatkv.load.ModelFamilies;
import io.heatkv.load.ModelSizes;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Each family says which grids the options mean, and refuses them before anything is loaded. */
class ScaleOptionsTest {
  private static ModelSizes sizes(String name) {
    return ModelFamilies.ofSize(name).random(name);
  }

  private static ScaleOptions options(
      @Nullable String aspectRatio, @Nullable String resolution, @Nullable String scales) {
    ScaleOptions options = new ScaleOptions();
    options.aspectRatio = aspectRatio;
    options.resolution = resolution;
    options.scales = scales;
    return options;
  }

  @ParameterizedTest
  @CsvSource({
    "infinity-2b,,,,, 13, 64x64",
    "infinity-2b,, 0.25M,,, 10, 32x32",
    "infinity-2b, 3:4, 0.25M,,, 10, 36x27",
    "infinity-2b, 16:9,,,, 13, 48x84",
    // a standard resolution takes the place of the model's grids only
    "infinity-2b,,,, 0.06M, 7, 16x16",
    "infinity-2b, 1:1,,, 0.06M, 13, 64x64",
    "infinity-2b,, 0.25M,, 0.06M, 10, 32x32",
    "infinity-2b,,, 0.06M,, 7, 16x16",
    "infinity-2b, 3:1,, 0.06M,, 7, 9x27",
    "infinity-2b,,, 7x9, 1M, 1, 7x9",
    "var-d30,,,,, 10, 16x16",
    "var-d36,,,,, 10, 32x32",
    "var-d30,,, '1x1,2x2,3x3,4x4,5x5,6x6,8x8,10x10,13x13,16x16',, 10, 16x16"
  })
  void eachFamilyDrawsItsOwn(
      String model,
      @Nullable String aspectRatio,
      @Nullable String resolution,
      @Nullable String scales,
      @Nullable String standard,
      int count,
      String last) {
    ScaleOptions options = options(aspectRatio, resolution, scales);
    var grids = options.grids(sizes(model), Optional.ofNullable(standard));
    assertThat(grids.count()).isEqualTo(count);
    assertThat(grids.last()).hasToString(last);
    assertThat(options.areGiven())
        .isEqualTo(aspectRatio != null || resolution != null || scales != null);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "infinity-2b | | 2M | | resolution '2M' is unknown; expected 0.06M, 0.25M, 0.60M, 1M",
        "infinity-2b | | | 2M | resolution '2M' is unknown; expected 0.06M, 0.25M, 0.60M, 1M",
        "infinity-2b | 4:1 | | | aspect ratio '4:1' is out of range; expected 1:3 to 3:1",
        "infinity-2b | | 1M | 1x1,2x2 | --scales 1x1,2x2 already says size and aspect ratio;"
            + " leave out --aspect-ratio and --resolution",
        "infinity-2b | | 1M | 0.25M | --scales 0.25M already says the size; leave out --resolution",
        "infinity-2b | | | 1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1 |"
            + " the picture has 16 scales; model infinity-2b draws at most 15",
        "var-d30 | 1:1 | | | model var-d30 has no choice of resolution or aspect ratio; it draws"
            + " 256x256 pixels over the grids 1x1,2x2,3x3,4x4,5x5,6x6,8x8,10x10,13x13,16x16",
        "var-d30 | | 1M | | model var-d30 has no choice of resolution or aspect ratio; it draws"
            + " 256x256 pixels over the grids 1x1,2x2,3x3,4x4,5x5,6x6,8x8,10x10,13x13,16x16",
        "var-d16 | | | 1x1,2x2 | model var-d16 draws 256x256 pixels over the grids"
            + " 1x1,2x2,3x3,4x4,5x5,6x6,8x8,10x10,13x13,16x16, not over 1x1,2x2; it learned a"
            + " vector for each of their positions"
      })
  void whatAModelCantDrawIsOneLine(
      String model,
      @Nullable String aspectRatio,
      @Nullable String resolution,
      @Nullable String scales,
      String message) {
    assertThatThrownBy(() -> options(aspectRatio, resolution, scales).grids(sizes(model)))
        .isInstanceOf(UserException.class)
        .hasMessage(message);
  }

  /** Names are those of all families together. */
  @ParameterizedTest
  @CsvSource({"1M,,, 64x64", "0.25M,,, 32x32", ", 0.06M, 3:1, 9x27", "'1x1,5x7',,, 5x7"})
  void withoutAModelNamesAreThoseOfTheFamilies(
      @Nullable String scales,
      @Nullable String resolution,
      @Nullable String aspectRatio,
      String last) {
    assertThat(options(aspectRatio, resolution, scales).named().last()).hasToString(last);
  }

  @ParameterizedTest
  @CsvSource({
    "3M,,, resolution '3M' is unknown to all model families",
    ",, 1:1, --aspect-ratio alone says no size",
    "'1x1,2x2',, 1:1, '--scales 1x1,2x2 already says size and aspect ratio'"
  })
  void withoutAModelTooLittleIsRefused(
      @Nullable String scales,
      @Nullable String resolution,
      @Nullable String aspectRatio,
      String message) {
    assertThatThrownBy(() -> options(aspectRatio, resolution, scales).named())
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith(message);
  }
}
