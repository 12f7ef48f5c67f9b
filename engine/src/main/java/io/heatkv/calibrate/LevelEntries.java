package io.heatkv.calibrate;

import io.heatkv.cache.KvShape;
import io.heatkv.scale.ScaleSchedule;
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

  private final ScaleSchedule schedule;
  // Entries of each source and pool, in the order in which they lie.
  private final int[][] counts;
  private final int[] maps;
  // Of each entry, the number of its source and pool, int64 [entries].
  private final Tensor mapOf;
  // Tokens of each entry [entries, 1].
  private final Tensor tokens;
  // Tokens of each entry in the slots whose keys are as precise [entries, slots].
  private final Tensor exact;
  private final Tensor int8;
  private final Tensor int4;

  /**
   * @param storage owns what is kept
   */
  LevelEntries(Backend backend, Device device, ScaleSchedule schedule, Scope storage) {
    this.schedule = schedule;
    int sources = schedule.count() - 1;
    counts = new int[sources][POOLS.size()];
    List<Float> sizes = new ArrayList<>();
    List<Integer> kinds = new ArrayList<>();
    for (int s = 0; s < sources; s++) {
      for (int p = 0; p < POOLS.size(); p++) {
        int before = sizes.size();
        addBlocks(schedule.size(s), POOLS.get(p), sizes);
        counts[s][p] = sizes.size() - before;
        for (int i = before; i < sizes.size(); i++) {
          kinds.add(s * POOLS.size() + p);
        }
      }
    }
    maps = Arrays.stream(counts).flatMapToInt(Arrays::stream).toArray();
    long[] numbers = kinds.stream().mapToLong(i -> i).toArray();
    float[] each = new float[sizes.size()];
    for (int i = 0; i < each.length; i++) {
      each[i] = sizes.get(i);
    }
    try (Scope _ = Scope.open()) {
      mapOf = storage.adopt(Tensor.of(backend, numbers, numbers.length).to(device));
      tokens = storage.adopt(Tensor.of(backend, each, each.length, 1).to(device));
      exact = storage.adopt(slots(backend, each, kinds, Precision.FLOAT16).to(device));
      int8 = storage.adopt(slots(backend, each, kinds, Precision.INT8, Precision.K8V4).to(device));
      int4 = storage.adopt(slots(backend, each, kinds, Precision.INT4).to(device));
    }
  }

  private static void addBlocks(ScaleSize map, int pool, List<Float> sizes) {
    for (int row = 0; row < map.height(); row += pool) {
      for (int column = 0; column < map.width(); column += pool) {
        int height = Math.min(pool, map.height() - row);
        int width = Math.min(pool, map.width() - column);
        sizes.add((float) (height * width));
      }
    }
  }

  private static Tensor slots(
      Backend backend, float[] tokens, List<Integer> kinds, Precision... precisions) {
    float[] slots = new float[tokens.length * SLOTS];
    for (int i = 0; i < tokens.length; i++) {
      int pool = POOLS.get(kinds.get(i) % POOLS.size());
      for (Precision precision : precisions) {
        slots[i * SLOTS + Level.ALL.indexOf(new Level(pool, precision))] = tokens[i];
      }
    }
    return Tensor.of(backend, slots, tokens.length, SLOTS);
  }

  /** Bytes of a layer's keys and values at one precision. */
  static long layerBytes(KvShape shape) {
    long entries = 0;
    for (int s = 0; s < shape.schedule().count() - 1; s++) {
      for (int pool : POOLS) {
        entries += new Level(pool, Precision.FLOAT16).entries(shape.schedule().size(s));
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
      ScaleSize size = schedule.size(s);
      Tensor map = cached.narrow(3, schedule.offset(s), size.tokens());
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
    // [layers, heads, entries, head_dim]
    private final Tensor exactKeys;
    private final Tensor int8Keys;
    private final Tensor int4Keys;
    // As often as an entry counts [layers, heads, entries, head_dim]; of 8 bits, then of 4.
    private final Tensor exactValues;
    private final Tensor quantisedValues;

    private Encoded(Tensor entries, Tensor eight, Tensor four) {
      headDim = Math.toIntExact(entries.size(4));
      exactKeys = entries.select(0, 0);
      int8Keys = eight.select(0, 0);
      int4Keys = four.select(0, 0);
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
      int first = 0;
      for (int s = 0; s < source; s++) {
        first += total(s);
      }
      int all = total(source);
      int unpooled = counts[source][0];
      int pooled = first + unpooled;
      try (Scope scope = Scope.open()) {
        Tensor exactWeights = weights(query, exactKeys.narrow(2, pooled, all - unpooled), lse);
        Tensor int8Weights = weights(query, int8Keys.narrow(2, first, all), lse);
        Tensor int4Weights = weights(query, int4Keys.narrow(2, first, all), lse);
        Tensor masses =
            Ops.matmul(exactWeights, exact.narrow(0, pooled, all - unpooled))
                .add(Ops.matmul(int8Weights, int8.narrow(0, first, all)))
                .add(Ops.matmul(int4Weights, int4.narrow(0, first, all)));
        List<Tensor> values = new ArrayList<>();
        values.add(query.mul(0));
        int start = 0;
        for (int count : counts[source]) {
          if (start > 0) {
            Tensor weights = exactWeights.narrow(3, start - unpooled, count);
            values.add(Ops.matmul(weights, exactValues.narrow(2, first + start, count)));
          }
          Tensor quantised = quantisedValues.narrow(2, first + start, count);
          values.add(Ops.matmul(int8Weights.narrow(3, start, count), quantised));
          values.add(
              Ops.matmul(
                  int4Weights.narrow(3, start, count), quantised.narrow(3, headDim, headDim)));
          start += count;
        }
        Tensor slots =
            Ops.cat(3, values).reshape(query.size(0), query.size(1), query.size(2), SLOTS, headDim);
        return new Sums(scope.keep(slots), scope.keep(masses));
      }
    }

    private Tensor weights(Tensor query, Tensor keys, Tensor lse) {
      return Ops.exp(Ops.matmul(query, keys.transpose(2, 3)).sub(lse));
    }

    private int total(int source) {
      return Arrays.stream(counts[source]).sum();
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
