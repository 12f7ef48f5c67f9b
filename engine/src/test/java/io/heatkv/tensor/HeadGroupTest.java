package io.heatkv.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.TestDevice;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Who is padded with whom, over seeded random numbers of entries. */
class HeadGroupTest {
  private static final int DIM = 32;

  /** A step whose heads attend to so many entries; none to a map. */
  private static StoredStep step(int[] lengths) {
    List<StoredMap> reads = new ArrayList<>();
    for (int head = 0; head < lengths.length; head++) {
      if (lengths[head] > 0) {
        // 128 bytes an entry: 8 granules of 16.
        reads.add(
            new StoredMap(
                head,
                1,
                lengths[head],
                1,
                NumberFormat.FLOAT16,
                NumberFormat.FLOAT16,
                new int[] {0, 8 * lengths[head]}));
      }
    }
    StoredStep.Maps maps = new StoredStep.Maps(reads, List.of(), List.of());
    return StoredStep.tables(DType.F16, lengths.length, DIM, List.of(maps)).steps().getFirst();
  }

  private static int[][] heads(int tokens, int... lengths) {
    return HeadGroup.of(step(lengths), tokens, DIM).stream()
        .map(HeadGroup::heads)
        .toArray(int[][]::new);
  }

  /** 2^20 products of numbers are 128 entries of 32 channels for 256 tokens. */
  @Test
  void paddingCostsLessThanCalls() {
    assertThat(heads(256, 50, 50, 50)).isDeepEqualTo(new int[][] {{0, 1, 2}});
    assertThat(heads(256, 200, 0, 72, 71)).isDeepEqualTo(new int[][] {{0, 2}, {1, 3}});
    assertThat(heads(256, 0, 129)).isDeepEqualTo(new int[][] {{1}, {0}});
  }

  /** 2^16 numbers are 2048 entries of 32 channels. */
  @Test
  void groupsStayInACoresCache() {
    assertThat(heads(1000, 24, 24, 24)).isDeepEqualTo(new int[][] {{0, 1}, {2}});
    assertThat(heads(1000, 25, 25)).isDeepEqualTo(new int[][] {{0}, {1}});
    assertThat(heads(4, 1497, 0, 300)).isDeepEqualTo(new int[][] {{0}, {1, 2}});
  }

  @Test
  void everyHeadIsInOneGroupThatPaysOff() {
    Random random = new Random(23);
    for (int round = 0; round < 200; round++) {
      int[] lengths = random.ints(1 + random.nextInt(16), 0, 1500).toArray();
      int tokens = 1 + random.nextInt(2000);
      List<HeadGroup> groups = HeadGroup.of(step(lengths), tokens, DIM);
      int[] all = groups.stream().flatMapToInt(group -> Arrays.stream(group.heads())).toArray();
      assertThat(Arrays.stream(all).sorted().toArray())
          .isEqualTo(IntStream.range(0, lengths.length).toArray());
      @Nullable HeadGroup before = null;
      for (HeadGroup group : groups) {
        int[] own = Arrays.stream(group.heads()).map(head -> lengths[head]).toArray();
        assertThat(group.heads()).isSorted();
        assertThat(group.longest()).isEqualTo(Arrays.stream(own).max().orElseThrow());
        long padding = group.longest() - Arrays.stream(own).min().orElseThrow();
        assertThat(padding * tokens * DIM).isLessThanOrEqualTo(1 << 20);
        if (before != null) {
          // Its longest would have joined the group before it, were that cheaper.
          long more = (before.count() + 1L) * (before.longest() + tokens) * DIM;
          long pads = (long) (before.longest() - group.longest()) * tokens * DIM;
          assertThat(pads > 1 << 20 || more > 1 << 16).isTrue();
        }
        before = group;
      }
    }
  }

  /** There and back, with neighbours and without. */
  @Test
  void headsAreCopiedToTheirPlaces() {
    for (int[] own : new int[][] {{0, 1, 2, 3, 4}, {1, 2}, {0, 2, 3}, {0, 4}}) {
      float[] numbers = new float[2 * 5 * 3];
      for (int i = 0; i < numbers.length; i++) {
        numbers[i] = i;
      }
      try (Scope _ = Scope.open()) {
        HeadGroup group = new HeadGroup(own, 1);
        Tensor all = Tensor.of(TestDevice.backend(), numbers, 2, 5, 3, 1);
        float[] expected = new float[2 * own.length * 3];
        for (int i = 0; i < expected.length; i++) {
          expected[i] = i / 3 / own.length * 15 + own[i / 3 % own.length] * 3 + i % 3;
        }
        Tensor some = group.of(all);
        assertThat(some.toFloats()).isEqualTo(expected);
        Tensor target = Tensor.full(TestDevice.backend(), -1, DType.F32, Device.CPU, 2, 5, 3, 1);
        group.copy(some, target, true);
        float[] back = target.toFloats();
        for (int i = 0; i < back.length; i++) {
          int head = i / 3 % 5;
          boolean isOwn = Arrays.stream(own).anyMatch(each -> each == head);
          assertThat(back[i]).isEqualTo(isOwn ? i : -1);
        }
      }
    }
  }
}
