package io.heatkv.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FreeRunsTest {
  /** The smallest run that holds them all, else the largest ones; neighbours grow together. */
  @Test
  void theBestFitIsTaken() {
    FreeRuns free = new FreeRuns(20);
    assertThat(free.take(20)).containsExactly(0, 20);
    free.give(new int[] {0, 4});
    free.give(new int[] {6, 2});
    free.give(new int[] {10, 3});
    assertThat(free.take(2)).containsExactly(6, 2);
    free.give(new int[] {6, 2});
    assertThat(free.take(3)).containsExactly(10, 3);
    free.give(new int[] {10, 3});
    assertThat(free.take(1)).containsExactly(6, 1);
    // 0 to 3, 7, 10 to 12
    assertThat(free.take(6)).containsExactly(0, 4, 10, 2);
    // 7 and 12 are left; 6 joins 7, and 8 to 11 all of them.
    free.give(new int[] {6, 1});
    free.give(new int[] {8, 4});
    assertThat(free.take(7)).containsExactly(6, 7);
    assertThat(free.take(0)).isEmpty();
    assertThat(new FreeRuns(0).take(0)).isEmpty();
  }

  /** No slot is handed out twice, none is lost, and what is given back in pieces is one run. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5})
  void handsEverySlotOutOnce(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    int capacity = 100;
    FreeRuns free = new FreeRuns(capacity);
    BitSet used = new BitSet();
    List<int[]> taken = new ArrayList<>();
    for (int step = 0; step < 2000; step++) {
      int left = capacity - used.cardinality();
      if (random.nextBoolean() && left > 0) {
        int count = 1 + random.nextInt(left);
        int[] runs = free.take(count);
        int sum = 0;
        for (int i = 0; i < runs.length; i += 2) {
          assertThat(runs[i + 1]).isPositive();
          assertThat(used.get(runs[i], runs[i] + runs[i + 1]).isEmpty()).isTrue();
          used.set(runs[i], runs[i] + runs[i + 1]);
          sum += runs[i + 1];
        }
        assertThat(sum).as("seed %d, step %d", seed, step).isEqualTo(count);
        taken.add(runs);
      } else if (!taken.isEmpty()) {
        int[] runs = taken.remove(random.nextInt(taken.size()));
        free.give(runs);
        for (int i = 0; i < runs.length; i += 2) {
          used.clear(runs[i], runs[i] + runs[i + 1]);
        }
      }
      assertThat(used.length()).isLessThanOrEqualTo(capacity);
    }
    taken.forEach(free::give);
    assertThat(free.take(capacity)).containsExactly(0, capacity);
  }
}
