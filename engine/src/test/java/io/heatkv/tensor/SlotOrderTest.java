package io.heatkv.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.TestDevice;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

/** Where entries go, beside a loop over slots: few of them, and more than a warp has words for. */
class SlotOrderTest {
  private static final int MOST = 3000;

  private final Backend backend = TestDevice.backend();

  @Test
  void entriesOfOtherRowsStayBesideThoseOfThePicturesFirst() {
    // Slots of the first row end up with 1, 3, then the new 4; of the second row 1 stays beside 1,
    // 0, which the first row drops, comes after all that this one keeps, 5 fills the gap.
    long[] kept = {1, 3, 4, 0, 1, 5};
    assertThat(arranged(kept, 2, 1, 3, 4, 6)).containsExactly(1, 3, 4, 6 + 1, 6 + 5, 6 + 0);
  }

  @Test
  void allShapes() {
    long live = backend.liveTensors();
    for (long seed = 1; seed <= 40; seed++) {
      Random random = new Random(seed);
      int pictureRows = 1 + random.nextInt(3);
      int rows = pictureRows * (1 + random.nextInt(2));
      int heads = 1 + random.nextInt(3);
      int most = random.nextBoolean() ? MOST : 70;
      int held = random.nextInt(most);
      int count = held + 1 + random.nextInt(most);
      int quota = 1 + random.nextInt(count);
      long[][] each = new long[rows * heads][];
      for (int i = 0; i < each.length; i++) {
        boolean ordered = i / heads % pictureRows == 0;
        each[i] = kept(random, held, count, quota, ordered);
      }
      long[] expected =
          LongStream.range(0, each.length)
              .flatMap(i -> {
                int first = (int) (i / heads / pictureRows * pictureRows * heads + i % heads);
                return Arrays.stream(expected(each[first], each[(int) i], held))
                    .map(entry -> entry + i * count);
              })
              .toArray();
      long[] kept = Arrays.stream(each).flatMapToLong(Arrays::stream).toArray();
      assertThat(arranged(kept, pictureRows, heads, quota, held, count))
          .as("seed %d", seed)
          .isEqualTo(expected);
    }
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  /** Some entries: in a first row ascending, in others held ones in any order before new ones. */
  private static long[] kept(Random random, int held, int count, int quota, boolean ordered) {
    long[] all = LongStream.range(0, count).toArray();
    for (int i = count - 1; i > 0; i--) {
      int other = random.nextInt(i + 1);
      long entry = all[i];
      all[i] = all[other];
      all[other] = entry;
    }
    long[] some = Arrays.copyOf(all, quota);
    return ordered
        ? Arrays.stream(some).sorted().toArray()
        : LongStream.concat(
                Arrays.stream(some).filter(entry -> entry < held),
                Arrays.stream(some).filter(entry -> entry >= held).sorted())
            .toArray();
  }

  private static long[] expected(long[] first, long[] kept, int held) {
    boolean[] firstKeeps = marks(first);
    boolean[] keeps = marks(kept);
    long[] way =
        LongStream.concat(
                LongStream.range(0, held).filter(i -> i < firstKeeps.length && firstKeeps[(int) i]),
                LongStream.range(0, held)
                    .filter(i -> i >= firstKeeps.length || !firstKeeps[(int) i]))
            .limit(kept.length)
            .toArray();
    long[] slots = new long[kept.length];
    Arrays.fill(slots, -1);
    for (int i = 0; i < way.length; i++) {
      if (way[i] < keeps.length && keeps[(int) way[i]]) {
        slots[i] = way[i];
        keeps[(int) way[i]] = false;
      }
    }
    int next = 0;
    for (long entry : kept) {
      if (keeps[(int) entry]) {
        while (slots[next] >= 0) {
          next++;
        }
        slots[next] = entry;
      }
    }
    return slots;
  }

  private static boolean[] marks(long[] entries) {
    boolean[] marks = new boolean[(int) Arrays.stream(entries).max().orElse(0) + 1];
    for (long entry : entries) {
      marks[(int) entry] = true;
    }
    return marks;
  }

  /** What every slot gets; that places say the same is checked. */
  private long[] arranged(long[] kept, int pictureRows, int heads, int quota, int held, int count) {
    try (Scope _ = Scope.open()) {
      long rows = kept.length / quota / heads;
      long[] upwards = LongStream.range(0, Math.max(count + 1L, rows * heads)).toArray();
      Tensor numbers =
          Tensor.of(backend, upwards, upwards.length).to(TestDevice.device()).to(DType.F64);
      Tensor entries = Tensor.of(backend, kept, rows, heads, quota).to(TestDevice.device());
      DeviceOps.Arranged arranged =
          backend.ops(TestDevice.device()).arrange(entries, pictureRows, held, count, numbers);
      long[] result = longs(arranged.entries());
      Tensor places = arranged.places();
      assertThat(places == null).isEqualTo(pictureRows == 1 || held == 0);
      long[] at = places == null ? new long[0] : longs(places);
      for (int i = 0; i < kept.length; i++) {
        int head = i / quota;
        int slot = places == null ? i : head * quota + (int) at[i];
        assertThat(result[slot]).isEqualTo(kept[i] + (long) head * count);
      }
      return result;
    }
  }

  private static long[] longs(Tensor x) {
    return Arrays.stream(x.toInts()).asLongStream().toArray();
  }
}
