package io.heatkv.convert;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.checkpoint.TensorEntry;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ElementsTest {
  /** Against PyTorch's casts of the same numbers. */
  @ParameterizedTest
  @CsvSource({
    "f32, F32", "f32, F16", "f32, BF16", "f64, F32", "f64, F16", "f64, BF16",
    "f16, F32", "f16, F16", "f16, BF16", "bf16, F32", "bf16, F16", "bf16, BF16"
  })
  void roundsAsPytorchDoes(String from, StorageType to) {
    try (Checkpoint file = Checkpoints.open(Folders.fixture("conversions.safetensors"))) {
      TensorEntry source = file.entry(from);
      TensorEntry expected = file.entry(from + "." + to);
      long[] got = bits(converted(source, to), to);
      long[] want = bits(expected.bytes().toArray(ValueLayout.JAVA_BYTE), to);
      assertThat(got).hasSameSizeAs(want).hasSizeGreaterThan(150);
      int nans = 0;
      for (int i = 0; i < want.length; i++) {
        if (isNan(want[i], to)) {
          nans++;
          assertThat(isNan(got[i], to)).as("element %d", i).isTrue();
        } else {
          assertThat(got[i]).as("element %d", i).isEqualTo(want[i]);
        }
      }
      assertThat(nans).isLessThan(40);
    }
  }

  @Test
  void countsWhatBecomesInfinite() {
    float[] values = {65504, 65519.99f, 65520, -1e30f, Float.POSITIVE_INFINITY, Float.NaN, 0};
    MemorySegment out = MemorySegment.ofArray(new byte[4 * values.length]);
    assertThat(Elements.encode(values, values.length, StorageType.F16, out)).isEqualTo(2);
    assertThat(Elements.encode(values, values.length, StorageType.BF16, out)).isZero();
    values[0] = Float.MAX_VALUE;
    assertThat(Elements.encode(values, values.length, StorageType.BF16, out)).isEqualTo(1);
    TensorEntry doubles =
        new TensorEntry(
            "d",
            StorageType.F64,
            new long[] {3},
            MemorySegment.ofArray(
                ByteBuffer.allocate(24)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putDouble(1e300)
                    .putDouble(-1e39)
                    .putDouble(3e38)
                    .array()));
    assertThat(Elements.convert(doubles, StorageType.F32, bytes -> {})).isEqualTo(2);
  }

  /** A tensor longer than a chunk, by the one exact case: bfloat16 is the upper half of float32. */
  @Test
  void convertsInChunks() {
    int elements = (1 << 18) + 3;
    byte[] halves = new byte[2 * elements];
    for (int i = 0; i < elements; i++) {
      halves[2 * i] = (byte) i;
      halves[2 * i + 1] = (byte) (i % 97);
    }
    TensorEntry entry =
        new TensorEntry(
            "t", StorageType.BF16, new long[] {elements}, MemorySegment.ofArray(halves));
    byte[] floats = converted(entry, StorageType.F32);
    for (int i = 0; i < elements; i++) {
      assertThat(Arrays.copyOfRange(floats, 4 * i, 4 * i + 4))
          .as("element %d", i)
          .containsExactly(0, 0, halves[2 * i], halves[2 * i + 1]);
    }
  }

  private static byte[] converted(TensorEntry entry, StorageType to) {
    ByteBuffer all = ByteBuffer.allocate((int) entry.elements() * to.byteSize());
    Elements.convert(entry, to, bytes -> all.put(bytes.toArray(ValueLayout.JAVA_BYTE)));
    assertThat(all.hasRemaining()).isFalse();
    return all.array();
  }

  private static long[] bits(byte[] bytes, StorageType type) {
    ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    long[] bits = new long[bytes.length / type.byteSize()];
    for (int i = 0; i < bits.length; i++) {
      bits[i] = type.byteSize() == 4 ? buffer.getInt() & 0xFFFFFFFFL : buffer.getShort() & 0xFFFF;
    }
    return bits;
  }

  private static boolean isNan(long bits, StorageType type) {
    return switch (type) {
      case F32 -> Float.isNaN(Float.intBitsToFloat((int) bits));
      case F16 -> (bits & 0x7FFF) > 0x7C00;
      default -> (bits & 0x7FFF) > 0x7F80;
    };
  }
}
