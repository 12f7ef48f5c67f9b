package io.heatkv.tensor;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;

/** Stored maps on the CPU: {@link MapCodec} over an arena of bytes in memory. */
final class PlainMaps {
  // Numbers for which waking other threads pays.
  private static final long ENCODED = 1 << 15;
  private static final long DECODED = 1 << 18;

  private PlainMaps() {}

  /** Attention of a step, group by group of heads. */
  static Tensor attend(Tensor q, Tensor k, Tensor v, Tensor arena, StoredStep step, double scale) {
    StoredBytes bytes = new StoredBytes(arena, step.half());
    List<HeadGroup> groups = HeadGroup.of(step, q.size(2), bytes.dim());
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
      Tensor q,
      Tensor k,
      Tensor v,
      StoredBytes bytes,
      StoredStep step,
      HeadGroup group,
      double scale) {
    int rows = Math.toIntExact(q.size(0));
    int tokens = Math.toIntExact(q.size(2));
    int all = tokens + group.longest();
    int dim = bytes.dim();
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
        2L * rows * group.count() * group.longest() * dim >= DECODED,
        i -> {
          int row = i / maps.size();
          int number = i % maps.size();
          long entry = (long) row * group.count() * all + places[number];
          long values = entry + (long) rows * group.count() * all;
          bytes.decode(row, maps.get(number), memory, entry * dim, values * dim);
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
      // Most entries stand for as many tokens as the one before.
      int known = 1;
      float log = 0;
      for (int i = 0; i < map.entries(); i++) {
        int tokens = map.tokens(i);
        if (tokens != known) {
          known = tokens;
          log = (float) Math.log(tokens);
        }
        logs[place + i] = log;
      }
    }
  }

  /** Runs what writes to places of its own for numbers from 0, by all threads where it is much. */
  private static void inParallel(Backend backend, int count, boolean isMuch, IntConsumer action) {
    IntStream range = IntStream.range(0, count);
    (isMuch && backend.threads() > 1 ? range.parallel() : range).forEach(action);
  }

  /** Encodes maps of the first rows again and stores the current scale of all. */
  static void store(Tensor arena, StoredStep step, Tensor k, Tensor v) {
    if (step.to().isEmpty()) {
      return;
    }
    StoredBytes bytes = new StoredBytes(arena, step.half());
    int dim = bytes.dim();
    List<StoredMap> from = step.from();
    List<StoredMap> to = step.to();
    int rows = Math.toIntExact(k.size(0));
    // All before any: what is encoded may lie where another was.
    StoredBytes.Copies copies = bytes.copy(rows, from);
    boolean isStored = to.size() > from.size();
    long stored = isStored ? k.count() : 0;
    try (Scope _ = Scope.open()) {
      MemorySegment keys = isStored ? k.to(DType.F32).contiguous().memory() : MemorySegment.NULL;
      MemorySegment values = isStored ? v.to(DType.F32).contiguous().memory() : MemorySegment.NULL;
      inParallel(
          k.backend(),
          rows * to.size(),
          2 * (stored + (long) rows * step.moved() * dim) >= ENCODED,
          i -> {
            int row = i / to.size();
            int number = i % to.size();
            StoredMap map = to.get(number);
            if (number < from.size()) {
              bytes.encode(row, map, from.get(number), copies.rows()[row], copies.starts()[number]);
            } else {
              long start = (row * k.size(1) + map.head()) * map.height() * map.width() * dim;
              bytes.encode(row, map, keys, values, start);
            }
          });
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
}
