package io.heatkv.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.TestDevice;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Maps that are encoded again from copies of their bytes. */
class StoredBytesTest {
  private static final int DIM = 6;

  /** Granules of three bytes: the first map takes 33, and halves are read two bytes at a time. */
  @Test
  void mapsAfterAnOddNumberOfBytesStayAsTheyAre() {
    // Two keys of 6 bytes and values of 3, then two steps in 6, two lows and steps in 9: 33 bytes.
    StoredMap odd =
        new StoredMap(0, 1, 2, 1, NumberFormat.INT8, NumberFormat.INT4_ENTRY, new int[] {0, 11});
    StoredMap halves =
        new StoredMap(1, 1, 1, 1, NumberFormat.FLOAT16, NumberFormat.FLOAT16, new int[] {11, 8});
    odd.check(DIM);
    halves.check(DIM);
    float[] numbers = {1, -2, 3, 0.5f, 100, 0.25f, 7, 8, -9, 10, 11, 12};
    try (Scope _ = Scope.open()) {
      Tensor arena = Tensor.empty(TestDevice.backend(), DType.U8, Device.CPU, 1, 19, DIM / 2);
      StoredBytes bytes = new StoredBytes(arena, DType.F16);
      MemorySegment values = MemorySegment.ofArray(numbers);
      bytes.encode(0, odd, values, values, 0);
      bytes.encode(0, halves, values, values.asSlice(DIM * Float.BYTES), 0);
      StoredBytes.Copies copies = bytes.copy(1, List.of(odd, halves));
      arena.memory().fill((byte) -1);
      bytes.encode(0, halves, halves, copies.rows()[0], copies.starts()[1]);
      MemorySegment decoded = MemorySegment.ofArray(new float[2 * DIM]);
      bytes.decode(0, halves, decoded, 0, DIM);
      assertThat(decoded.toArray(ValueLayout.JAVA_FLOAT)).containsExactly(numbers);
    }
  }
}
