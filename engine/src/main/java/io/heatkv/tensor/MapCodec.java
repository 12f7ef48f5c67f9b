package io.heatkv.tensor;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Means over blocks of a map, and the bytes of a {@link StoredMap}: the definition of what devices
 * compute, in float32, one rounding an operation.
 *
 * <p>Scales are rounded to half precision first and then used, steps upwards and lows downwards, so
 * that a number is stored within half a step where scales are finite in half precision; larger ones
 * saturate.
 */
final class MapCodec {
  private static final VarHandle HALVES =
      MethodHandles.byteArrayViewVarHandle(short[].class, ByteOrder.LITTLE_ENDIAN);
  private static final float MAX_HALF = 65504;
  // Adding and subtracting it rounds small numbers to integers, ties to even.
  private static final float ROUND = 0x1.8p23f;
  private static final int INT8_MAX = 127;
  private static final int INT4_MAX = 15;

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
   * @param keys of the entries [entries, dim]
   * @param values same shape
   * @param half type of {@link NumberFormat#FLOAT16}: F16 or BF16
   */
  static byte[] encode(StoredMap map, float[] keys, float[] values, int dim, DType half) {
    byte[] bytes = new byte[map.bytes(dim)];
    Part part = Part.keys(map, dim);
    encode(map.keys(), keys, bytes, part, half);
    encode(map.values(), values, bytes, part.values(map), half);
    return bytes;
  }

  /**
   * Reads what {@link #encode} wrote.
   *
   * @param bytes of the map, at the start
   * @param keys takes those of the entries [entries, dim], at the start
   * @param values same shape
   */
  static void decode(
      StoredMap map, byte[] bytes, float[] keys, float[] values, int dim, DType half) {
    Part part = Part.keys(map, dim);
    decode(map.keys(), bytes, keys, part, half);
    decode(map.values(), bytes, values, part.values(map), half);
  }

  /**
   * Where the keys or the values of a map lie.
   *
   * @param start of the first entry
   * @param stride from one entry to the next
   * @param scales where they begin
   */
  private record Part(int entries, int dim, int start, int stride, int scales) {
    static Part keys(StoredMap map, int dim) {
      int entries = map.entries();
      int stride = map.entryBytes(dim);
      return new Part(entries, dim, 0, stride, entries * stride);
    }

    Part values(StoredMap map) {
      return new Part(
          entries,
          dim,
          map.keys().entryBytes(dim),
          stride,
          scales + map.keys().scaleBytes(entries, dim));
    }
  }

  private static void encode(NumberFormat format, float[] x, byte[] bytes, Part part, DType half) {
    switch (format) {
      case FLOAT16 -> encodeHalves(x, bytes, part, half);
      case INT8 -> encodeInt8(x, bytes, part);
      case INT4 -> encodeInt4(x, bytes, part);
    }
  }

  private static void decode(NumberFormat format, byte[] bytes, float[] x, Part part, DType half) {
    switch (format) {
      case FLOAT16 -> decodeHalves(bytes, x, part, half);
      case INT8 -> decodeInt8(bytes, x, part);
      case INT4 -> decodeInt4(bytes, x, part);
    }
  }

  private static void encodeHalves(float[] x, byte[] bytes, Part part, DType half) {
    for (int e = 0; e < part.entries; e++) {
      for (int i = 0; i < part.dim; i++) {
        float value = x[e * part.dim + i];
        short bits = half == DType.BF16 ? brain(value) : Float.floatToFloat16(saturated(value));
        HALVES.set(bytes, part.start + e * part.stride + 2 * i, bits);
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
    for (int e = 0; e < part.entries; e++) {
      int from = e * part.dim;
      float largest = 0;
      for (int i = 0; i < part.dim; i++) {
        largest = Math.max(largest, Math.abs(x[from + i]));
      }
      short bits = halfAbove(largest / INT8_MAX);
      HALVES.set(bytes, part.scales + 2 * e, bits);
      float step = Float.float16ToFloat(bits);
      for (int i = 0; i < part.dim; i++) {
        bytes[part.start + e * part.stride + i] =
            (byte) nearest(x[from + i], step, -INT8_MAX, INT8_MAX);
      }
    }
  }

  private static void decodeInt8(byte[] bytes, float[] x, Part part) {
    for (int e = 0; e < part.entries; e++) {
      float step = half(bytes, part.scales + 2 * e);
      int from = part.start + e * part.stride;
      int to = e * part.dim;
      for (int i = 0; i < part.dim; i++) {
        x[to + i] = step * bytes[from + i];
      }
    }
  }

  private static void encodeInt4(float[] x, byte[] bytes, Part part) {
    int dim = part.dim;
    float[] low = new float[dim];
    float[] step = new float[dim];
    for (int i = 0; i < dim; i++) {
      float least = x[i];
      float most = x[i];
      for (int e = 1; e < part.entries; e++) {
        least = Math.min(least, x[e * dim + i]);
        most = Math.max(most, x[e * dim + i]);
      }
      short lowBits = halfBelow(least);
      low[i] = Float.float16ToFloat(lowBits);
      short stepBits = halfAbove((most - low[i]) / INT4_MAX);
      step[i] = Float.float16ToFloat(stepBits);
      HALVES.set(bytes, part.scales + 2 * i, lowBits);
      HALVES.set(bytes, part.scales + 2 * (dim + i), stepBits);
    }
    for (int e = 0; e < part.entries; e++) {
      int from = e * dim;
      for (int i = 0; i < dim; i += 2) {
        int even = nearest(x[from + i] - low[i], step[i], 0, INT4_MAX);
        int odd = nearest(x[from + i + 1] - low[i + 1], step[i + 1], 0, INT4_MAX);
        bytes[part.start + e * part.stride + i / 2] = (byte) (even | odd << 4);
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

  private static int nearest(float x, float step, int least, int most) {
    if (step == 0) {
      return 0;
    }
    float q = Math.max(least, Math.min(most, x / step));
    return (int) (q + ROUND - ROUND);
  }

  private static float half(byte[] bytes, int at) {
    return Float.float16ToFloat((short) HALVES.get(bytes, at));
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
    return Math.max(-MAX_HALF, Math.min(MAX_HALF, x));
  }

  /** To the nearest bf16, ties to even. */
  private static short brain(float x) {
    int bits = Float.floatToIntBits(x);
    return (short) ((Float.isNaN(x) ? bits : bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
}
