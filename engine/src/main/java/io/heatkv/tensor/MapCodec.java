package io.heatkv.tensor;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * Means over blocks of a map, and the bytes of a {@link StoredMap}: the definition of what devices
 * compute, in float32, one rounding an operation.
 *
 * <p>Scales are rounded to half precision first and then used, steps upwards and lows downwards, so
 * that a number is stored within half a step where scales are finite in half precision; larger ones
 * saturate.
 *
 * <p>Loops compare instead of calling {@code Math.min}, and write bytes instead of using handles: a
 * command that draws one picture runs them as the first compiler makes them, where integers then
 * take less than half of the time.
 */
final class MapCodec {
  private static final float MAX_HALF = 65504;
  // Adding and subtracting it rounds small numbers to integers, ties to even.
  private static final float ROUND = 0x1.8p23f;
  private static final int INT8_MAX = 127;
  private static final int INT4_MAX = 15;
  // Bits of the largest magnitude that a finite step reaches.
  private static final int MAX_INT8_BITS = Float.floatToRawIntBits(MAX_HALF * INT8_MAX);

  private MapCodec() {}

  /**
   * Means over larger blocks, weighted by the tokens that each entry stands for.
   *
   * @param x entries of blocks of {@code from} tokens a side [rows, columns, dim]
   * @param height rows of tokens
   * @param width columns of tokens
   * @param to side of the new blocks, a multiple of {@code from}
   * @return x itself where nothing changes
   */
  static float[] pool(float[] x, int height, int width, int dim, int from, int to) {
    if (from == to) {
      return x;
    }
    int columns = Math.ceilDiv(width, from);
    int newColumns = Math.ceilDiv(width, to);
    int newRows = Math.ceilDiv(height, to);
    float[] means = new float[newRows * newColumns * dim];
    for (int entry = 0; entry < newRows * newColumns; entry++) {
      int top = entry / newColumns * to;
      int left = entry % newColumns * to;
      int bottom = Math.min(top + to, height);
      int right = Math.min(left + to, width);
      for (int row = top; row < bottom; row += from) {
        for (int column = left; column < right; column += from) {
          float tokens = (Math.min(from, height - row) * Math.min(from, width - column));
          int at = (row / from * columns + column / from) * dim;
          for (int i = 0; i < dim; i++) {
            means[entry * dim + i] += tokens * x[at + i];
          }
        }
      }
      float count = ((bottom - top) * (right - left));
      for (int i = 0; i < dim; i++) {
        means[entry * dim + i] /= count;
      }
    }
    return means;
  }

  /**
   * The bytes of a map.
   *
   * @param keys of the entries [entries, dim], at the start
   * @param values same shape
   * @param half type of {@link NumberFormat#FLOAT16}: F16 or BF16
   * @param bytes takes them, at the start
   */
  static void encode(
      StoredMap map, float[] keys, float[] values, int dim, DType half, byte[] bytes) {
    Arrays.fill(bytes, map.entries() * map.entryBytes(dim), map.bytes(dim), (byte) 0);
    Part part = Part.keys(map, dim, 0);
    encode(map.keys(), keys, bytes, part, half);
    encode(map.values(), values, bytes, part.values(map), half);
  }

  /**
   * Reads what {@link #encode} wrote.
   *
   * @param bytes of the map, from {@code start} on
   * @param keys takes those of the entries [entries, dim], at the start
   * @param values same shape
   */
  static void decode(
      StoredMap map, byte[] bytes, int start, float[] keys, float[] values, int dim, DType half) {
    Part part = Part.keys(map, dim, start);
    decode(map.keys(), bytes, keys, part, half);
    decode(map.values(), bytes, values, part.values(map), half);
  }

  /**
   * Where the keys or the values of a map lie.
   *
   * @param start of the first entry
   * @param stride from one entry to the next
   * @param scales where they begin
   * @param scaleStride from one entry's scale to the next
   */
  private record Part(int entries, int dim, int start, int stride, int scales, int scaleStride) {
    static Part keys(StoredMap map, int dim, int start) {
      int entries = map.entries();
      int stride = map.entryBytes(dim);
      int scales = start + entries * stride;
      return new Part(entries, dim, start, stride, scales, scaleStride(map.keys()));
    }

    Part values(StoredMap map) {
      return new Part(
          entries,
          dim,
          start + map.keys().entryBytes(dim),
          stride,
          scales + map.keys().scaleBytes(entries, dim),
          scaleStride(map.values()));
    }

    static Part apart(int entries, int dim) {
      return new Part(entries, dim, 0, dim + 2, dim, dim + 2);
    }

    private static int scaleStride(NumberFormat format) {
      return format.scaleBytes(1, 2);
    }
  }

  /**
   * Bytes of entries by themselves, each followed by its step: {@link NumberFormat#INT8}.
   *
   * @param x [entries, dim]
   * @return [entries, dim + 2]
   */
  static byte[] encode(float[] x, int dim) {
    Part part = Part.apart(x.length / dim, dim);
    byte[] bytes = new byte[part.entries * part.stride];
    encodeInt8(x, bytes, part);
    return bytes;
  }

  /** Reads what {@link #encode(float[], int)} wrote. */
  static float[] decode(byte[] bytes, int dim) {
    Part part = Part.apart(bytes.length / (dim + 2), dim);
    float[] x = new float[part.entries * dim];
    decodeInt8(bytes, x, part);
    return x;
  }

  private static void encode(NumberFormat format, float[] x, byte[] bytes, Part part, DType half) {
    switch (format) {
      case FLOAT16 -> encodeHalves(x, bytes, part, half);
      case INT8 -> encodeInt8(x, bytes, part);
      case INT4 -> encodeInt4(x, bytes, part);
      case INT4_ENTRY -> encodeInt4Entries(x, bytes, part);
    }
  }

  private static void decode(NumberFormat format, byte[] bytes, float[] x, Part part, DType half) {
    switch (format) {
      case FLOAT16 -> decodeHalves(bytes, x, part, half);
      case INT8 -> decodeInt8(bytes, x, part);
      case INT4 -> decodeInt4(bytes, x, part);
      case INT4_ENTRY -> decodeInt4Entries(bytes, x, part);
    }
  }

  private static void encodeHalves(float[] x, byte[] bytes, Part part, DType half) {
    for (int e = 0; e < part.entries; e++) {
      for (int i = 0; i < part.dim; i++) {
        float value = x[e * part.dim + i];
        short bits = half == DType.BF16 ? brain(value) : Float.floatToFloat16(saturated(value));
        set(bytes, part.start + e * part.stride + 2 * i, bits);
      }
    }
  }

  private static void decodeHalves(byte[] bytes, float[] x, Part part, DType half) {
    short[] halves = new short[part.dim];
    var source = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asShortBuffer();
    for (int e = 0; e < part.entries; e++) {
      source.get((part.start + e * part.stride) / 2, halves);
      int to = e * part.dim;
      if (half == DType.BF16) {
        for (int i = 0; i < halves.length; i++) {
          x[to + i] = Float.intBitsToFloat(halves[i] << 16);
        }
      } else {
        for (int i = 0; i < halves.length; i++) {
          x[to + i] = Float.float16ToFloat(halves[i]);
        }
      }
    }
  }

  private static void encodeInt8(float[] x, byte[] bytes, Part part) {
    int dim = part.dim;
    for (int e = 0; e < part.entries; e++) {
      int from = e * dim;
      int to = part.start + e * part.stride;
      // Bits of magnitudes are in their order, what is no number beyond infinity.
      int most = 0;
      for (int i = 0; i < dim; i++) {
        int magnitude = Float.floatToRawIntBits(x[from + i]) & Integer.MAX_VALUE;
        most = magnitude > most ? magnitude : most;
      }
      boolean isWithin = most <= MAX_INT8_BITS;
      float largest = isWithin ? Float.intBitsToFloat(most) : largestNumber(x, from, dim);
      short bits = halfAbove(largest / INT8_MAX);
      set(bytes, part.scales + e * part.scaleStride, bits);
      float divisor = divisor(Float.float16ToFloat(bits));
      if (isWithin) {
        // The last bits of the rounded sum are the integer.
        for (int i = 0; i < dim; i++) {
          bytes[to + i] = (byte) Float.floatToRawIntBits(x[from + i] / divisor + ROUND);
        }
      } else {
        for (int i = 0; i < dim; i++) {
          bytes[to + i] = (byte) rounded(x[from + i] / divisor, -INT8_MAX, INT8_MAX);
        }
      }
    }
  }

  private static float largestNumber(float[] x, int from, int count) {
    float largest = 0;
    for (int i = from; i < from + count; i++) {
      float size = Math.abs(x[i]);
      largest = size > largest ? size : largest;
    }
    return largest;
  }

  private static void decodeInt8(byte[] bytes, float[] x, Part part) {
    for (int e = 0; e < part.entries; e++) {
      float step = half(bytes, part.scales + e * part.scaleStride);
      int from = part.start + e * part.stride;
      int to = e * part.dim;
      for (int i = 0; i < part.dim; i++) {
        x[to + i] = step * bytes[from + i];
      }
    }
  }

  private static void encodeInt4(float[] x, byte[] bytes, Part part) {
    int dim = part.dim;
    float[] low = Arrays.copyOf(x, dim);
    float[] most = Arrays.copyOf(x, dim);
    for (int e = 1; e < part.entries; e++) {
      for (int i = 0; i < dim; i++) {
        float value = x[e * dim + i];
        low[i] = value < low[i] ? value : low[i];
        most[i] = value > most[i] ? value : most[i];
      }
    }
    float[] divisor = new float[dim];
    for (int i = 0; i < dim; i++) {
      short lowBits = halfBelow(low[i]);
      low[i] = Float.float16ToFloat(lowBits);
      short stepBits = halfAbove((most[i] - low[i]) / INT4_MAX);
      divisor[i] = divisor(Float.float16ToFloat(stepBits));
      set(bytes, part.scales + 2 * i, lowBits);
      set(bytes, part.scales + 2 * (dim + i), stepBits);
    }
    for (int e = 0; e < part.entries; e++) {
      int from = e * dim;
      int to = part.start + e * part.stride;
      for (int i = 0; i < dim; i += 2) {
        int first = rounded((x[from + i] - low[i]) / divisor[i], 0, INT4_MAX);
        int second = rounded((x[from + i + 1] - low[i + 1]) / divisor[i + 1], 0, INT4_MAX);
        bytes[to + i / 2] = (byte) (first | second << 4);
      }
    }
  }

  private static void decodeInt4(byte[] bytes, float[] x, Part part) {
    int dim = part.dim;
    float[] low = new float[dim];
    float[] step = new float[dim];
    for (int i = 0; i < dim; i++) {
      low[i] = half(bytes, part.scales + 2 * i);
      step[i] = half(bytes, part.scales + 2 * (dim + i));
    }
    for (int e = 0; e < part.entries; e++) {
      int from = part.start + e * part.stride;
      int to = e * dim;
      for (int i = 0; i < dim; i += 2) {
        int both = bytes[from + i / 2];
        x[to + i] = low[i] + step[i] * (both & 15);
        x[to + i + 1] = low[i + 1] + step[i + 1] * (both >> 4 & 15);
      }
    }
  }

  private static void encodeInt4Entries(float[] x, byte[] bytes, Part part) {
    for (int e = 0; e < part.entries; e++) {
      int from = e * part.dim;
      float least = x[from];
      float most = x[from];
      for (int i = 1; i < part.dim; i++) {
        float value = x[from + i];
        least = value < least ? value : least;
        most = value > most ? value : most;
      }
      short lowBits = halfBelow(least);
      float low = Float.float16ToFloat(lowBits);
      short stepBits = halfAbove((most - low) / INT4_MAX);
      float divisor = divisor(Float.float16ToFloat(stepBits));
      set(bytes, part.scales + e * part.scaleStride, lowBits);
      set(bytes, part.scales + e * part.scaleStride + 2, stepBits);
      int to = part.start + e * part.stride;
      for (int i = 0; i < part.dim; i += 2) {
        int first = rounded((x[from + i] - low) / divisor, 0, INT4_MAX);
        int second = rounded((x[from + i + 1] - low) / divisor, 0, INT4_MAX);
        bytes[to + i / 2] = (byte) (first | second << 4);
      }
    }
  }

  private static void decodeInt4Entries(byte[] bytes, float[] x, Part part) {
    for (int e = 0; e < part.entries; e++) {
      float low = half(bytes, part.scales + e * part.scaleStride);
      float step = half(bytes, part.scales + e * part.scaleStride + 2);
      int from = part.start + e * part.stride;
      int to = e * part.dim;
      for (int i = 0; i < part.dim; i += 2) {
        int both = bytes[from + i / 2];
        x[to + i] = low + step * (both & 15);
        x[to + i + 1] = low + step * (both >> 4 & 15);
      }
    }
  }

  /** To the nearest integer within bounds, ties to even; 0 for what is no number. */
  private static int rounded(float x, int least, int most) {
    float bounded = x < least ? least : x > most ? most : x;
    return (int) (bounded + ROUND - ROUND);
  }

  /** Where a step is 0, all numbers are 0. */
  private static float divisor(float step) {
    return step == 0 ? 1 : step;
  }

  private static float half(byte[] bytes, int at) {
    return Float.float16ToFloat((short) ((bytes[at] & 255) | (bytes[at + 1] << 8)));
  }

  private static void set(byte[] bytes, int at, short half) {
    bytes[at] = (byte) half;
    bytes[at + 1] = (byte) (half >> 8);
  }

  /** The least half that isn't below x, 0 or more; the largest finite one if there is none. */
  private static short halfAbove(float x) {
    float wanted = saturated(x);
    short near = Float.floatToFloat16(wanted);
    return Float.float16ToFloat(near) < wanted ? (short) (near + 1) : near;
  }

  /** The largest half that isn't above x; the finite one of largest magnitude if there is none. */
  private static short halfBelow(float x) {
    float wanted = saturated(x);
    short near = Float.floatToFloat16(wanted);
    if (Float.float16ToFloat(near) > wanted) {
      // Bits are a sign and a magnitude; what is above a number below 0 may have become -0.
      return wanted < 0 ? (short) ((near | 0x8000) + 1) : (short) (near - 1);
    }
    return near;
  }

  private static float saturated(float x) {
    return x < -MAX_HALF ? -MAX_HALF : x > MAX_HALF ? MAX_HALF : x;
  }

  /** To the nearest bf16, ties to even. */
  private static short brain(float x) {
    int bits = Float.floatToIntBits(x);
    return (short) ((Float.isNaN(x) ? bits : bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
}
