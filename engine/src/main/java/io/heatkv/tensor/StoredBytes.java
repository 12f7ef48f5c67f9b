package io.heatkv.tensor;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;
import java.util.List;

/** An arena's bytes in memory, row after row of granules: encodes maps into it and decodes them. */
final class StoredBytes {
  // Arrays of a thread: new ones would be cleared, and bring memory to the cache that nobody read.
  private static final ThreadLocal<Buffers> BUFFERS = ThreadLocal.withInitial(Buffers::new);

  private final MemorySegment memory;
  private final long rowBytes;
  private final int granule;
  private final int dim;
  private final DType half;

  /** What a map is, and becomes; as large as the largest so far. */
  private static final class Buffers {
    private byte[] bytes = {};
    private float[] keys = {};
    private float[] values = {};

    void reserve(int numbers, int count) {
      if (keys.length < numbers) {
        keys = new float[numbers];
        values = new float[numbers];
      }
      if (bytes.length < count) {
        bytes = new byte[count];
      }
    }
  }

  /**
   * @param arena uint8 [rows, granules, dim / 2]
   * @param half type of {@link NumberFormat#FLOAT16}: F16 or BF16
   */
  StoredBytes(Tensor arena, DType half) {
    memory = arena.memory();
    granule = Math.toIntExact(arena.size(2));
    rowBytes = arena.size(1) * granule;
    dim = 2 * granule;
    this.half = half;
  }

  /** Channels of a head. */
  int dim() {
    return dim;
  }

  /**
   * Bytes of maps outside the arena.
   *
   * @param rows each row's, one map after another
   * @param starts of each map, even
   */
  @SuppressWarnings("ArrayRecordComponent") // Never compared.
  record Copies(byte[][] rows, int[] starts) {}

  /** Copies maps of the first rows. */
  Copies copy(int rows, List<StoredMap> maps) {
    int[] starts = new int[maps.size()];
    int end = 0;
    for (int i = 0; i < starts.length; i++) {
      starts[i] = end;
      end += even(maps.get(i).bytes(dim));
    }
    byte[][] copies = new byte[rows][end];
    for (int row = 0; row < rows; row++) {
      for (int i = 0; i < starts.length; i++) {
        read(row, maps.get(i), copies[row], starts[i]);
      }
    }
    return new Copies(copies, starts);
  }

  /** Bytes of what {@link #copy} makes of a row. */
  static long copied(List<StoredMap> maps, int dim) {
    long bytes = 0;
    for (StoredMap map : maps) {
      bytes += even(map.bytes(dim));
    }
    return bytes;
  }

  private static int even(int bytes) {
    return bytes + (bytes & 1);
  }

  /**
   * Decodes a map of a row.
   *
   * @param numbers takes its entries in float32
   * @param keys where the keys begin there, in numbers
   * @param values where the values begin
   */
  void decode(int row, StoredMap map, MemorySegment numbers, long keys, long values) {
    Buffers buffers = BUFFERS.get();
    int count = map.entries() * dim;
    buffers.reserve(count, map.bytes(dim));
    read(row, map, buffers.bytes, 0);
    MapCodec.decode(map, buffers.bytes, 0, buffers.keys, buffers.values, dim, half);
    MemorySegment.copy(buffers.keys, 0, numbers, JAVA_FLOAT, keys * Float.BYTES, count);
    MemorySegment.copy(buffers.values, 0, numbers, JAVA_FLOAT, values * Float.BYTES, count);
  }

  /**
   * Encodes a map of a row again.
   *
   * @param from what it was
   * @param bytes of that, from a place on
   */
  void encode(int row, StoredMap map, StoredMap from, byte[] bytes, int start) {
    Buffers buffers = BUFFERS.get();
    buffers.reserve(from.entries() * dim, map.bytes(dim));
    MapCodec.decode(from, bytes, start, buffers.keys, buffers.values, dim, half);
    encode(row, map, buffers, from.pool());
  }

  /**
   * Encodes a map of a row.
   *
   * @param keys of its tokens, float32, from a place on
   * @param values of the same tokens
   * @param start in numbers
   */
  void encode(int row, StoredMap map, MemorySegment keys, MemorySegment values, long start) {
    Buffers buffers = BUFFERS.get();
    int count = map.height() * map.width() * dim;
    buffers.reserve(count, map.bytes(dim));
    MemorySegment.copy(keys, JAVA_FLOAT, start * Float.BYTES, buffers.keys, 0, count);
    MemorySegment.copy(values, JAVA_FLOAT, start * Float.BYTES, buffers.values, 0, count);
    encode(row, map, buffers, 1);
  }

  /** What the arrays hold of blocks of {@code from} tokens a side. */
  private void encode(int row, StoredMap map, Buffers buffers, int from) {
    int height = map.height();
    int width = map.width();
    MapCodec.encode(
        map,
        MapCodec.pool(buffers.keys, height, width, dim, from, map.pool()),
        MapCodec.pool(buffers.values, height, width, dim, from, map.pool()),
        dim,
        half,
        buffers.bytes);
    int at = 0;
    for (int i = 0; i < map.runs().length; i += 2) {
      int length = map.runs()[i + 1] * granule;
      MemorySegment.copy(buffers.bytes, at, memory, JAVA_BYTE, place(row, map, i), length);
      at += length;
    }
  }

  /** Copies a map's bytes. */
  private void read(int row, StoredMap map, byte[] bytes, int start) {
    int at = start;
    for (int i = 0; i < map.runs().length; i += 2) {
      int length = map.runs()[i + 1] * granule;
      MemorySegment.copy(memory, JAVA_BYTE, place(row, map, i), bytes, at, length);
      at += length;
    }
  }

  private long place(int row, StoredMap map, int run) {
    return row * rowBytes + (long) map.runs()[run] * granule;
  }
}
