package io.heatkv.cache;

import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Tensor;
import java.util.stream.LongStream;

/** What a layer writes into the arena after a scale. */
final class SlotWrites {
  private final int heads;
  private final int tokens;
  private final LongStream.Builder movedFrom = LongStream.builder();
  private final LongStream.Builder movedTo = LongStream.builder();
  private final LongStream.Builder sources = LongStream.builder();
  private final LongStream.Builder targets = LongStream.builder();

  /**
   * @param heads of the layer
   * @param tokens of the scale
   */
  SlotWrites(int heads, int tokens) {
    this.heads = heads;
    this.tokens = tokens;
  }

  /** Moves an entry between places of the arena. */
  void move(long from, long to) {
    movedFrom.add(from);
    movedTo.add(to);
  }

  /** Stores a token of the scale. */
  void add(int row, int head, int token, long place) {
    sources.add(((long) row * heads + head) * tokens + token);
    targets.add(place);
  }

  /**
   * Writes; what moves is read before anything is written.
   *
   * @param k keys of the scale [batch, heads, tokens, head_dim]
   * @param v values of the scale, same shape
   */
  void run(SlotArena arena, Tensor k, Tensor v) {
    long[] from = movedFrom.build().toArray();
    long[] rows = sources.build().toArray();
    Tensor moved = from.length == 0 ? null : arena.read(from);
    if (rows.length > 0) {
      Tensor index = arena.index(rows);
      arena.write(targets.build().toArray(), rows(k, index), rows(v, index));
    }
    if (moved != null) {
      arena.write(movedTo.build().toArray(), moved.select(0, 0), moved.select(0, 1));
    }
  }

  private static Tensor rows(Tensor scale, Tensor index) {
    return Ops.indexSelect(scale.reshape(-1, scale.size(3)), 0, index);
  }
}
