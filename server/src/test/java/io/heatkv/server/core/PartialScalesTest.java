package io.heatkv.server.core;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.scale.ScaleGrids;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class PartialScalesTest {
  private static final ScaleGrids SQUARE =
      ScaleGrids.parse("1x1,2x2,4x4,6x6,8x8,12x12,16x16,20x20,24x24,32x32,40x40,48x48,64x64");

  @Test
  void theyAreSpreadWhereDecodingIsCheap() {
    assertThat(PartialScales.choose(SQUARE, 3, 0.05, _ -> true)).containsExactly(3, 6, 9);
    assertThat(PartialScales.choose(SQUARE, 1, 0.05, _ -> true)).containsExactly(6);
    assertThat(PartialScales.choose(SQUARE, 0, 0.05, _ -> true)).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({"1,0.1", "3,0.1", "3,0.3", "3,0.9", "12,0.5", "100,1"})
  void theyNeverTakeMoreThanTheirShareOfTime(int count, double decodeShare) {
    double tokens =
        PartialScales.choose(SQUARE, count, decodeShare, _ -> true).stream()
            .mapToInt(SQUARE::tokens)
            .sum();
    assertThat(tokens / 4096 * decodeShare).isLessThanOrEqualTo(0.15);
    assertThat(PartialScales.choose(SQUARE, count, decodeShare, _ -> true))
        .isNotEmpty()
        .doesNotContain(12);
  }

  @Test
  void asManyAsThereAreScalesBeforeTheLast() {
    assertThat(PartialScales.choose(ScaleGrids.parse("1x1,2x2,4x4"), 9, 0.1, _ -> true))
        .containsExactly(0, 1);
    assertThat(PartialScales.choose(ScaleGrids.parse("4x4"), 9, 0.1, _ -> true)).isEmpty();
  }

  /** Where keys and values leave no room to decode a fine scale, coarser ones are shown. */
  @ParameterizedTest
  @CsvSource({"8", "3", "1"})
  void noneIsFinerThanMemoryAllows(int finest) {
    assertThat(PartialScales.choose(SQUARE, 3, 0.05, scale -> scale <= finest))
        .hasSize(Math.min(3, finest + 1))
        .allMatch(scale -> scale <= finest);
  }
}
