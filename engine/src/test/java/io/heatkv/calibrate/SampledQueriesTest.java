package io.heatkv.calibrate;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SampledQueriesTest {
  private static final int MOST = 64;

  /** Equal distances would take the first column alone of a map 64 wide. */
  @ParameterizedTest
  @ValueSource(ints = {12, 16, 20, 32, 48, 64, 128})
  void samplesAllPartsOfAMap(int side) {
    long[] tokens = SampledQueries.spread(side * side, MOST);
    assertThat(tokens).hasSize(MOST);
    assertThat(tokens[MOST - 1]).isLessThan(side * side);
    for (int part = 0; part < 4; part++) {
      long quarter = part;
      // A quarter of the rows and one of the columns hold about 16 of the 64 each.
      assertThat(Arrays.stream(tokens).filter(t -> t / side * 4 / side == quarter).count())
          .as("rows %s", part)
          .isBetween(12L, 20L);
      assertThat(Arrays.stream(tokens).filter(t -> t % side * 4 / side == quarter).count())
          .as("columns %s", part)
          .isBetween(8L, 24L);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 6, 63, 64, 65, 100, 4095, 5000})
  void samplesNoTokenTwice(int count) {
    long[] tokens = SampledQueries.spread(count, MOST);
    assertThat(tokens).hasSize(Math.min(MOST, count)).isSorted().doesNotHaveDuplicates();
    assertThat(tokens[0]).isNotNegative();
    assertThat(tokens[tokens.length - 1]).isLessThan(count);
  }
}
