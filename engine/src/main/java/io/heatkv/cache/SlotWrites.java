package io.heatkv.cache;

import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Tensor;
import java.util.Arrays;
import java.util.function.Function;
import java.util.stream.LongStream;

/** What a layer writes into the arena after a scale. */
final class SlotWrites {
  private final int heads;
  // [row * heads + head]
  private final Row[] rows;

  /**
   * @param batch rows
   * @param heads of the layer
   * @param tokens of the scale
   */
  SlotWrites(int batch, int heads, int tokens) {
    this.heads = heads;
    rows = new Row[batch * heads];
    Arrays.setAll(rows, i -> new Row((long) i * tokens));
  }

  /** Writes of one head for one row; each may be noted by a thread of its own. */
  Row row(int row, int head) {
    return rows[row * heads + head];
  }

  /** Writes of one head for one row. */
  static final class Row {
    private final long first;
    private final LongStream.Builder movedFrom = LongStream.builder();
    private final LongStream.Builder movedTo = LongStream.builder();
    private final LongStream.Builder sources = LongStream.builder();
    private final LongStream.Builder targets = LongStream.builder();

    /**
     * @param first number of the head's first token among those of all rows and heads
     */
    private Row(long first) {
      this.first = first;
    }

    /** Moves an entry between places of the arena. */
    void move(long from, long to) {
      movedFrom.add(from);
      movedTo.add(to);
    }

    /** Stores a token of the scale. */
    void add(int token, long place) {
      sources.add(first + token);
      targets.add(place);
    }
  }

  /**
   * Writes; what moves is read before anything is written.
   *
   * @param k keys of the scale [batch, heads, tokens, head_dim]
   * @param v values of the scale, same shape
   */
  void run(SlotArena arena, Tensor k, Tensor v) {
    long[] from = all(row -> row.movedFrom);
    long[] sources = all(row -> row.sources);
    Tensor moved = from.length == 0 ? null : arena.read(from);
    if (sources.length > 0) {
      Tensor index = arena.index(sources);
      arena.write(all(row -> row.targets), rows(k, index), rows(v, index));
    }
    if (moved != null) {
      arena.write(all(row -> row.movedTo), moved.select(0, 0), moved.select(0, 1));
    }
  }

  private long[] all(Function<Row, LongStream.Builder> numbers) {
    return Arrays.stream(rows).flatMapToLong(row -> numbers.apply(row).build()).toArray();
  }

  private static Tensor rows(Tensor scale, Tensor index) {
    return Ops.indexSelect(scale.reshape(-1, scale.size(3)), 0, index);
  }
}
