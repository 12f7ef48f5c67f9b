package io.heatkv.scale;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.error.UserException;
import java.util.Collections;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Schedules as users write them, and where they end. */
class ScaleGridsTest {
  @Test
  void tokensAreCountedThrough() {
    ScaleGrids grids = ScaleGrids.parse("1x1, 2x3 ,4x3,4x5");
    assertThat(grids.tokens()).containsExactly(1, 6, 12, 20);
    assertThat(grids.offset(0)).isZero();
    assertThat(grids.offset(2)).isEqualTo(7);
    assertThat(grids.cachedTokens()).isEqualTo(19);
    assertThat(grids.totalTokens()).isEqualTo(39);
    assertThat(grids.last()).isEqualTo(new ScaleSize(4, 5));
    assertThat(grids).hasToString("1x1,2x3,4x3,4x5");
  }

  /** 64 scales, 2^20 tokens and edges of 4096 are the most. */
  @Test
  void theLargestAreAccepted() {
    assertThat(ScaleGrids.parse(scales(64)).count()).isEqualTo(64);
    assertThat(ScaleGrids.parse("1024x1024").totalTokens()).isEqualTo(1 << 20);
    assertThat(ScaleGrids.parse("1x4096").last().width()).isEqualTo(4096);
    assertThat(ScaleGrids.parse("4096x1").last().height()).isEqualTo(4096);
  }

  @ParameterizedTest
  @CsvSource({
    "'1x1,1024x1024', has 1048577 tokens",
    "1x4097, scale 1x4097 is out of range",
    "4097x1, scale 4097x1 is out of range",
    "0x1, scale 0x1 is out of range",
    "1x0, scale 1x0 is out of range",
    "'2x2,1x3', 'scale 1x3 is smaller than the one before, 2x2'",
    "'2x2,3x1', 'scale 3x1 is smaller than the one before, 2x2'",
    "1x2x3, scale '1x2x3'",
    "1, scale '1'",
    "ax1, scale 'ax1'",
    "1x, scale '1x'",
    "'1x1,', scale ''",
    "0.5M, scale '0.5M'"
  })
  void othersAreRefused(String text, String expected) {
    assertThatThrownBy(() -> ScaleGrids.parse(text))
        .isInstanceOf(UserException.class)
        .hasMessageContaining(expected);
  }

  @Test
  void tooManyScalesAreRefused() {
    assertThatThrownBy(() -> ScaleGrids.parse(scales(65)))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("has 65 scales; expected 1 to 64");
  }

  private static String scales(int count) {
    return String.join(",", Collections.nCopies(count, "1x1"));
  }

  @ParameterizedTest
  @CsvSource({
    "16:9, 0.5625",
    "1:1, 1",
    "1:3, 3",
    "3:1, 0.33333333",
    "0.8, 1.25",
    "0.333, 3.003003",
    "3.0009, 0.33323336"
  })
  void aspectsAreWidthToHeight(String text, double heightDivWidth) {
    assertThat(AspectRatio.parse(text).heightDivWidth()).isCloseTo(heightDivWidth, within(1e-6));
  }

  @ParameterizedTest
  @ValueSource(strings = {"-1:1", "1:0", "0:1", "0:0", "NaN", "Infinity", "4:3:2", ":", "wide", ""})
  void otherAspectsAreRefused(String text) {
    assertThatThrownBy(() -> AspectRatio.parse(text))
        .isInstanceOf(UserException.class)
        .hasMessage(
            "aspect ratio '" + text + "' can't be read; expected WIDTH:HEIGHT such as 16:9");
  }
}
