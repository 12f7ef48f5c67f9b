package io.heatkv.tensor;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;

/** Stored maps on the CPU: {@link MapCodec} over an arena of bytes in memory. */
final class PlainMaps {
  // Numbers for which waking other threads pays.
  private static final long SHARED = 16384;

  private PlainMaps() {}

  /** Attention of a step. Heads one by one: each has its own keys. */
  static Tensor attend(Tensor q, Tensor k, Tensor v, Tensor arena, StoredStep step, double scale) {
    Bytes bytes = new Bytes(arena, step.half());
    List<StoredMap> maps = step.reads();
    long rows = q.size(0);
    long tokens = q.size(2);
    int dim = bytes.dim;
    // Tokens before heads: the output projection then reads it without a copy.
    Tensor out =
        Tensor.empty(q.backend(), q.dtype(), q.device(), rows, tokens, q.size(1), dim)
            .transpose(1, 2);
    int next = 0;
    for (int head = 0; head < step.heads(); head++) {
      int end = next;
      while (end < maps.size() && maps.get(end).head() == head) {
        end++;
      }
      List<StoredMap> own = maps.subList(next, end);
      next = end;
      int stored = step.length(head);
      int all = Math.toIntExact(stored + tokens);
      try (Scope _ = Scope.open()) {
        Tensor joined = Tensor.empty(q.backend(), DType.F32, Device.CPU, 2, rows, 1, all, dim);
        MemorySegment memory = joined.memory();
        int[] starts = new int[own.size()];
        for (int i = 1; i < starts.length; i++) {
          starts[i] = starts[i - 1] + own.get(i - 1).entries();
        }
        inParallel(
            q.backend(),
            (int) rows * own.size(),
            2 * rows * stored * dim,
            i -> {
              int row = i / own.size();
              StoredMap map = own.get(i % own.size());
              float[][] parts = bytes.decode(row, map);
              for (int part = 0; part < 2; part++) {
                long entry = (part * rows + row) * all + starts[i % own.size()];
                MemorySegment.copy(
                    parts[part],
                    0,
                    memory,
                    JAVA_FLOAT,
                    entry * dim * Float.BYTES,
                    parts[part].length);
              }
            });
        Tensor keys = joined.select(0, 0);
        Tensor values = joined.select(0, 1);
        keys.narrow(2, stored, tokens).copyFrom(k.narrow(1, head, 1));
        values.narrow(2, stored, tokens).copyFrom(v.narrow(1, head, 1));
        Tensor query = q.narrow(1, head, 1).to(DType.F32);
        Tensor attended;
        if (own.stream().anyMatch(map -> map.pool() > 1)) {
          Tensor counts = Tensor.of(q.backend(), logCounts(own, all), 1, 1, 1, all);
          attended = Ops.attention(query, keys, values, counts, scale);
        } else {
          attended = Ops.attention(query, keys, values, null, scale);
        }
        out.narrow(1, head, 1).copyFrom(attended);
      }
    }
    return out;
  }

  /** What is added to the scores of all entries: 0 for one token. */
  private static float[] logCounts(List<StoredMap> maps, int all) {
    float[] logs = new float[all];
    int next = 0;
    for (StoredMap map : maps) {
      for (int i = 0; i < map.entries(); i++) {
        logs[next++] = (float) Math.log(map.tokens(i));
      }
    }
    return logs;
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
