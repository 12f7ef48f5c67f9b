package io.heatkv.tensor;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;

/** Stored maps on the CPU: {@link MapCodec} over an arena of bytes in memory. */
final class PlainMaps {
  // Numbers for which waking other threads pays.
  private static final long SHARED = 16384;

  private PlainMaps() {}

  /** Attention of a step, group by group of heads. */
  static Tensor attend(Tensor q, Tensor k, Tensor v, Tensor arena, StoredStep step, double scale) {
    Bytes bytes = new Bytes(arena, step.half());
    List<HeadGroup> groups = HeadGroup.of(step, q.size(2), bytes.dim);
    if (groups.size() == 1) {
      try (Scope scope = Scope.open()) {
        return scope.keep(attend(q, k, v, bytes, step, groups.getFirst(), scale).to(q.dtype()));
      }
    }
    // Tokens before heads: the output projection then reads it without a copy.
    Tensor out =
        Tensor.empty(q.backend(), q.dtype(), q.device(), q.size(0), q.size(2), q.size(1), q.size(3))
            .transpose(1, 2);
    for (HeadGroup group : groups) {
      try (Scope _ = Scope.open()) {
        group.copy(attend(group.of(q), k, v, bytes, step, group, scale), out, true);
      }
    }
    return out;
  }

  /** Entries of a row that lie side by side at most, those of the current scale with them. */
  static long joined(StoredStep step, Tensor k) {
    long most = 0;
    for (HeadGroup group : HeadGroup.of(step, k.size(2), Math.toIntExact(k.size(3)))) {
      most = Math.max(most, group.count() * (group.longest() + k.size(2)));
    }
    return most;
  }

  /**
   * Attention of a group's heads.
   *
   * @param q of the group [rows, its heads, tokens, dim]
   * @param k of all heads
   * @return float32, as q
   */
  private static Tensor attend(
      Tensor q, Tensor k, Tensor v, Bytes bytes, StoredStep step, HeadGroup group, double scale) {
    int rows = Math.toIntExact(q.size(0));
    int tokens = Math.toIntExact(q.size(2));
    int all = tokens + group.longest();
    int dim = bytes.dim;
    List<StoredMap> maps = new ArrayList<>();
    // Of each map's first entry among those of all heads of a row; the current scale's come first.
    int[] places = new int[step.reads().size()];
    float[] counts = new float[group.count() * all];
    boolean isPlain = true;
    Tensor joined =
        Tensor.empty(q.backend(), DType.F32, Device.CPU, 2, rows, group.count(), all, dim);
    MemorySegment memory = joined.memory();
    for (int i = 0; i < group.count(); i++) {
      int place = i * all + tokens;
      for (StoredMap map : step.reads(group.heads()[i])) {
        places[maps.size()] = place;
        maps.add(map);
        isPlain &= map.pool() == 1;
        logCounts(map, counts, place);
        place += map.entries();
      }
      int end = (i + 1) * all;
      if (place < end) {
        isPlain = false;
        Arrays.fill(counts, place, end, Float.NEGATIVE_INFINITY);
        for (int row = 0; row < 2 * rows; row++) {
          long start = (long) row * group.count() * all + place;
          memory
              .asSlice(start * dim * Float.BYTES, (long) (end - place) * dim * Float.BYTES)
              .fill((byte) 0);
        }
      }
    }
    inParallel(
        q.backend(),
        rows * maps.size(),
        2L * rows * group.count() * group.longest() * dim,
        i -> {
          int row = i / maps.size();
          int number = i % maps.size();
          float[][] parts = bytes.decode(row, maps.get(number));
          for (int part = 0; part < 2; part++) {
            long entry = (long) (part * rows + row) * group.count() * all + places[number];
            MemorySegment.copy(
                parts[part], 0, memory, JAVA_FLOAT, entry * dim * Float.BYTES, parts[part].length);
          }
        });
    Tensor keys = joined.select(0, 0);
    Tensor values = joined.select(0, 1);
    group.copy(keys.narrow(2, 0, tokens), k, false);
    group.copy(values.narrow(2, 0, tokens), v, false);
    Tensor mask = isPlain ? null : Tensor.of(q.backend(), counts, 1, group.count(), 1, all);
    return Ops.attention(q.to(DType.F32), keys, values, mask, scale);
  }

  /** What is added to the scores of a map's entries: 0 for one token. */
  private static void logCounts(StoredMap map, float[] logs, int place) {
    if (map.pool() > 1) {
      for (int i = 0; i < map.entries(); i++) {
        logs[place + i] = (float) Math.log(map.tokens(i));
      }
    }
  }

  /**
   * Runs what writes to places of its own for numbers from 0, by all threads where it is enough.
   *
   * @param numbers that are encoded or decoded in all
   */
  private static void inParallel(Backend backend, int count, long numbers, IntConsumer action) {
    IntStream range = IntStream.range(0, count);
    (numbers >= SHARED && backend.threads() > 1 ? range.parallel() : range).forEach(action);
  }

  /** Stores the current scale. */
  static void encode(Tensor arena, StoredStep step, Tensor k, Tensor v) {
    List<StoredMap> maps = step.to().subList(step.from().size(), step.to().size());
    if (maps.isEmpty()) {
      return;
    }
    Bytes bytes = new Bytes(arena, step.half());
    int dim = bytes.dim;
    try (Scope _ = Scope.open()) {
      MemorySegment keys = k.to(DType.F32).contiguous().memory();
      MemorySegment values = v.to(DType.F32).contiguous().memory();
      inParallel(
          k.backend(),
          (int) k.size(0) * maps.size(),
          2 * k.count(),
          i -> {
            int row = i / maps.size();
            StoredMap map = maps.get(i % maps.size());
            int count = map.height() * map.width() * dim;
            long from = (row * k.size(1) + map.head()) * count * Float.BYTES;
            float[][] parts = new float[2][count];
            MemorySegment.copy(keys, JAVA_FLOAT, from, parts[0], 0, count);
            MemorySegment.copy(values, JAVA_FLOAT, from, parts[1], 0, count);
            bytes.encode(row, map, parts, 1);
          });
    }
  }

  /** Encodes maps of the first rows again. */
  static void move(Tensor arena, long rows, StoredStep step) {
    Bytes bytes = new Bytes(arena, step.half());
    List<StoredMap> from = step.from();
    long numbers = 2L * step.moved() * bytes.dim;
    float[][][] decoded = new float[from.size()][][];
    for (int each = 0; each < rows; each++) {
      int row = each;
      // All before any: what is encoded may lie where another is decoded from.
      inParallel(
          arena.backend(), from.size(), numbers, i -> decoded[i] = bytes.decode(row, from.get(i)));
      inParallel(
          arena.backend(),
          from.size(),
          numbers,
          i -> bytes.encode(row, step.to().get(i), decoded[i], from.get(i).pool()));
    }
  }

  /** See {@link DeviceOps#quantise}. */
  static Tensor quantise(Tensor x) {
    long[] shape = x.shape();
    byte[] bytes = MapCodec.encode(x.toFloats(), Math.toIntExact(x.size(-1)));
    shape[shape.length - 1] += 2;
    Tensor result = Tensor.empty(x.backend(), DType.U8, Device.CPU, shape);
    MemorySegment.copy(bytes, 0, result.memory(), JAVA_BYTE, 0, bytes.length);
    return result;
  }

  /** See {@link DeviceOps#dequantise}. */
  static Tensor dequantise(Tensor bytes, DType dtype) {
    long[] shape = bytes.shape();
    shape[shape.length - 1] -= 2;
    float[] x = MapCodec.decode(bytes.toBytes(), Math.toIntExact(bytes.size(-1) - 2));
    try (Scope scope = Scope.open()) {
      return scope.keep(Tensor.of(bytes.backend(), x, shape).to(dtype));
    }
  }

  /** An arena's bytes, row after row of granules. */
  private static final class Bytes {
    private final MemorySegment memory;
    private final long rowBytes;
    private final int granule;
    private final int dim;
    private final DType half;

    Bytes(Tensor arena, DType half) {
      memory = arena.memory();
      granule = Math.toIntExact(arena.size(2));
      rowBytes = arena.size(1) * granule;
      dim = 2 * granule;
      this.half = half;
    }

    /** Keys and values of the entries [2][entries * dim]. */
    float[][] decode(int row, StoredMap map) {
      byte[] own = new byte[map.bytes(dim)];
      int at = 0;
      for (int i = 0; i < map.runs().length; i += 2) {
        int count = map.runs()[i + 1] * granule;
        MemorySegment.copy(memory, JAVA_BYTE, place(row, map, i), own, at, count);
        at += count;
      }
      float[][] parts = new float[2][map.entries() * dim];
      MapCodec.decode(map, own, parts[0], parts[1], dim, half);
      return parts;
    }

    /** Encodes keys and values that are entries of blocks of {@code from} tokens a side. */
    void encode(int row, StoredMap map, float[][] parts, int from) {
      int height = map.height();
      int width = map.width();
      byte[] bytes =
          MapCodec.encode(
              map,
              MapCodec.pool(parts[0], height, width, dim, from, map.pool()),
              MapCodec.pool(parts[1], height, width, dim, from, map.pool()),
              dim,
              half);
      int at = 0;
      for (int i = 0; i < map.runs().length; i += 2) {
        int count = map.runs()[i + 1] * granule;
        MemorySegment.copy(bytes, at, memory, JAVA_BYTE, place(row, map, i), count);
        at += count;
      }
    }

    private long place(int row, StoredMap map, int run) {
      return row * rowBytes + (long) map.runs()[run] * granule;
    }
  }
}
