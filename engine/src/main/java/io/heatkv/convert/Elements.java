package io.heatkv.convert;

import io.heatkv.checkpoint.StorageType;
import io.heatkv.checkpoint.TensorEntry;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.function.Consumer;

/**
 * Converts floating-point elements, a chunk at a time. Every step rounds to nearest, ties to even;
 * float64 goes through float32, as PyTorch's casts do.
 */
final class Elements {
  /** Elements of a chunk: about two megabytes of scratch. */
  private static final int CHUNK = 1 << 18;

  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfDouble DOUBLE =
      ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private Elements() {}

  static boolean isFloating(StorageType type) {
    return switch (type) {
      case F64, F32, F16, BF16 -> true;
      default -> false;
    };
  }

  /**
   * Gives all elements of a floating-point tensor in another type.
   *
   * @return how many finite elements became infinite, being too large for the type
   */
  static long convert(TensorEntry entry, StorageType target, Consumer<MemorySegment> sink) {
    if (entry.dtype() == target) {
      sink.accept(entry.bytes());
      return 0;
    }
    int length = (int) Math.min(CHUNK, entry.elements());
    float[] values = new float[length];
    MemorySegment out = MemorySegment.ofArray(new byte[length * target.byteSize()]);
    long overflowed = 0;
    for (long at = 0; at < entry.elements(); at += length) {
      int count = (int) Math.min(length, entry.elements() - at);
      overflowed += decode(entry, at, values, count);
      overflowed += encode(values, count, target, out);
      sink.accept(out.asSlice(0, (long) count * target.byteSize()));
    }
    return overflowed;
  }

  private static long decode(TensorEntry entry, long at, float[] values, int count) {
    MemorySegment in = entry.bytes();
    long base = at * entry.dtype().byteSize();
    long overflowed = 0;
    switch (entry.dtype()) {
      case F64 -> {
        for (int i = 0; i < count; i++) {
          double value = in.get(DOUBLE, base + 8L * i);
          values[i] = (float) value;
          overflowed += Double.isFinite(value) && Float.isInfinite(values[i]) ? 1 : 0;
        }
      }
      case F32 -> {
        for (int i = 0; i < count; i++) {
          values[i] = in.get(FLOAT, base + 4L * i);
        }
      }
      case F16 -> {
        for (int i = 0; i < count; i++) {
          values[i] = Float.float16ToFloat(in.get(SHORT, base + 2L * i));
        }
      }
      case BF16 -> {
        for (int i = 0; i < count; i++) {
          values[i] = Float.intBitsToFloat(in.get(SHORT, base + 2L * i) << 16);
        }
      }
      default -> throw new IllegalArgumentException(entry + " is no floating-point tensor");
    }
    return overflowed;
  }

  /** Writes {@code count} values as {@code target}; how many finite ones became infinite. */
  static long encode(float[] values, int count, StorageType target, MemorySegment out) {
    long overflowed = 0;
    switch (target) {
      case F32 -> {
        for (int i = 0; i < count; i++) {
          out.set(FLOAT, 4L * i, values[i]);
        }
      }
      case F16 -> {
        for (int i = 0; i < count; i++) {
          short half = Float.floatToFloat16(values[i]);
          out.set(SHORT, 2L * i, half);
          overflowed += (half & 0x7FFF) == 0x7C00 && Float.isFinite(values[i]) ? 1 : 0;
        }
      }
      case BF16 -> {
        for (int i = 0; i < count; i++) {
          short half = toBfloat16(values[i]);
          out.set(SHORT, 2L * i, half);
          overflowed += (half & 0x7FFF) == 0x7F80 && Float.isFinite(values[i]) ? 1 : 0;
        }
      }
      default -> throw new IllegalArgumentException("can't convert to " + target);
    }
    return overflowed;
  }

  /** The upper half of the float's bits, rounded to even; NaN stays NaN. */
  static short toBfloat16(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (Float.isNaN(value)) {
      return (short) ((bits >>> 16) | 0x40);
    }
    return (short) ((bits + 0x7FFF + ((bits >>> 16) & 1)) >>> 16);
  }
}
