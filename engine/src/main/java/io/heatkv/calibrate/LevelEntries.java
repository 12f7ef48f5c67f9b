package io.heatkv.calibrate;

import io.heatkv.cache.KvShape;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.schedule.Level;
import io.heatkv.schedule.Precision;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.FakeQuantisation;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Keys and values of all source scales as every level stores them. An entry is a block of a
 * source's map; it counts as many times as the block has tokens. Numbers in 16 bits are taken as
 * exact.
 *
 * <p>Levels are told by slots: 0 is dropped, the others are the numbers of {@link Level#ALL} from 2
 * on, less 1; the first, which changes nothing, has none.
 */
final class LevelEntries {
  static final int SLOTS = Level.ALL.size();
  private static final List<Integer> POOLS =
      Level.ALL.stream().map(Level::pool).distinct().toList();

  // Precisions of keys in the order in which a source's keys lie.
  private static final List<Precision> KEYS =
      List.of(Precision.INT8, Precision.INT4, Precision.FLOAT16);

  private final ScaleGrids grids;
  // Entries of each source and pool, in the order in which they lie.
  private final int[][] counts;
  private final int[] maps;
  // Of each entry, the number of its source and pool, int64 [entries].
  private final Tensor mapOf;
  // Tokens of each entry [entries, 1].
  private final Tensor tokens;
  // Tokens of each key in the slots that it serves, keys as in Encoded [keys, slots].
  private final Tensor masses;

  /**
   * @param storage owns what is kept
   */
  LevelEntries(Backend backend, Device device, ScaleGrids grids, Scope storage) {
    this.grids = grids;
    int sources = grids.count() - 1;
    counts = new int[sources][];
    for (int s = 0; s < sources; s++) {
      ScaleSize map = grids.size(s);
      counts[s] = POOLS.stream().mapToInt(p -> exact(p).entries(map)).toArray();
    }
    maps = Arrays.stream(counts).flatMapToInt(Arrays::stream).toArray();
    float[] each = new float[first(sources)];
    long[] numbers = new long[each.length];
    for (int map = 0, entry = 0; map < maps.length; map++) {
      int pool = POOLS.get(map % POOLS.size());
      Arrays.fill(numbers, entry, entry + maps[map], map);
      addBlocks(grids.size(map / POOLS.size()), pool, each, entry);
      entry += maps[map];
    }
    float[] slots = new float[keys(sources) * SLOTS];
    for (int s = 0, key = 0; s < sources; s++) {
      for (Precision precision : KEYS) {
        int entry = first(s, precision);
        for (int p = precision == Precision.FLOAT16 ? 1 : 0; p < POOLS.size(); p++) {
          int slot = Level.ALL.indexOf(new Level(POOLS.get(p), precision));
          for (int i = 0; i < counts[s][p]; i++, key++, entry++) {
            slots[key * SLOTS + slot] = each[entry];
            if (precision == Precision.INT8) {
              // Of 8-bit keys with 4-bit values, which come next.
              slots[key * SLOTS + slot + 1] = each[entry];
            }
          }
        }
      }
    }
    try (Scope _ = Scope.open()) {
      mapOf = storage.adopt(Tensor.of(backend, numbers, numbers.length).to(device));
      tokens = storage.adopt(Tensor.of(backend, each, each.length, 1).to(device));
      masses = storage.adopt(Tensor.of(backend, slots, keys(sources), SLOTS).to(device));
    }
  }

  /** Where a source's entries begin. */
  private int first(int source) {
    return Arrays.stream(counts).limit(source).flatMapToInt(Arrays::stream).sum();
  }

  /** Where those of a source's entries begin that have keys of a precision. */
  private int first(int source, Precision precision) {
    return first(source) + (precision == Precision.FLOAT16 ? counts[source][0] : 0);
  }

  /** Keys of a source, at all precisions. */
  private int count(int source) {
    return KEYS.stream().mapToInt(p -> first(source + 1) - first(source, p)).sum();
  }

  /** Keys of the sources before. */
  private int keys(int source) {
    return IntStream.range(0, source).map(this::count).sum();
  }

  private static Level exact(int pool) {
    return new Level(pool, Precision.FLOAT16);
  }

  /** Tokens of each block of a map, written from {@code entry} on. */
  private static void addBlocks(ScaleSize map, int pool, float[] tokens, int entry) {
    int next = entry;
    for (int row = 0; row < map.height(); row += pool) {
      for (int column = 0; column < map.width(); column += pool) {
        int height = Math.min(pool, map.height() - row);
        tokens[next++] = (float) (height * Math.min(pool, map.width() - column));
      }
    }
  }

  /** Bytes of a layer's keys and values at one precision. */
  static long layerBytes(KvShape shape) {
    long entries = 0;
    for (int s = 0; s < shape.grids().count() - 1; s++) {
      for (int pool : POOLS) {
        entries += exact(pool).entries(shape.grids().size(s));
      }
    }
    return 2 * entries * shape.heads() * shape.headDim() * DType.F32.bytes();
  }

  /**
   * Keys and values at all levels.
   *
   * @param cached keys, then values of all sources, float32 [2, layers, heads, tokens, head_dim]
   */
  Encoded encode(Tensor cached) {
    List<Tensor> all = new ArrayList<>();
    for (int s = 0; s < counts.length; s++) {
      ScaleSize size = grids.size(s);
      Tensor map = cached.narrow(3, grids.offset(s), size.tokens()).contiguous();
      for (int pool : POOLS) {
        all.add(
            pool == 1 ? map : FakeQuantisation.blockMeans(map, size.height(), size.width(), pool));
      }
    }
    Tensor entries = Ops.cat(3, all);
    return new Encoded(
        entries, FakeQuantisation.int8(entries), FakeQuantisation.int4(entries, maps, mapOf));
  }

  /** Keys and values of some layers at all levels. */
  final class Encoded {
    private final int headDim;
    // Of each source those in 8 bits, in 4 bits and the exact ones of larger blocks
    // [layers, heads, keys, head_dim].
    private final Tensor keys;
    // As often as an entry counts [layers, heads, entries, head_dim]; of 8 bits, then of 4.
    private final Tensor exactValues;
    private final Tensor quantisedValues;

    private Encoded(Tensor entries, Tensor eight, Tensor four) {
      headDim = Math.toIntExact(entries.size(4));
      List<Tensor> all = new ArrayList<>();
      for (int s = 0; s < counts.length; s++) {
        for (Precision precision : KEYS) {
          Tensor of =
              switch (precision) {
                case INT8, K8V4 -> eight;
                case INT4 -> four;
                case FLOAT16 -> entries;
              };
          int first = first(s, precision);
          all.add(of.select(0, 0).narrow(2, first, first(s + 1) - first));
        }
      }
      keys = Ops.cat(2, all);
      exactValues = entries.select(0, 1).mulInPlace(tokens);
      quantisedValues =
          Ops.cat(3, eight.select(0, 1).mulInPlace(tokens), four.select(0, 1).mulInPlace(tokens));
    }

    /**
     * What a source at each level adds to outputs, relative to the exponential of {@code lse}.
     *
     * @param query float32 [layers, heads, queries, head_dim]
     * @param lse [layers, heads, queries, 1]
     */
    Sums of(int source, Tensor query, Tensor lse) {
      int first = first(source);
      int all = first(source + 1) - first;
      try (Scope scope = Scope.open()) {
        Tensor key = keys.narrow(2, keys(source), count(source));
        Tensor weights = Ops.exp(Ops.matmul(query, key.transpose(2, 3)).sub(lse));
        Tensor mass = Ops.matmul(weights, masses.narrow(0, keys(source), count(source)));
        List<Tensor> values = new ArrayList<>();
        values.add(query.mul(0));
        int start = 0;
        for (int count : counts[source]) {
          if (start > 0) {
            Tensor exact = weights.narrow(3, 2L * all + start - counts[source][0], count);
            values.add(Ops.matmul(exact, exactValues.narrow(2, first + start, count)));
          }
          Tensor quantised = quantisedValues.narrow(2, first + start, count);
          values.add(Ops.matmul(weights.narrow(3, start, count), quantised));
          Tensor four = quantised.narrow(3, headDim, headDim);
          values.add(Ops.matmul(weights.narrow(3, all + start, count), four));
          start += count;
        }
        Tensor slots =
            Ops.cat(3, values).reshape(query.size(0), query.size(1), query.size(2), SLOTS, headDim);
        return new Sums(scope.keep(slots), scope.keep(mass));
      }
    }
  }

  /**
   * What an atom adds to outputs in each slot.
   *
   * @param values sums of values by their weights [layers, heads, queries, slots, head_dim]
   * @param masses sums of weights [layers, heads, queries, slots]
   */
  record Sums(Tensor values, Tensor masses) {}
}
