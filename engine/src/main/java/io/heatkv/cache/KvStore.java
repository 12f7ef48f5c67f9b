package io.heatkv.cache;

import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.HeadRanges;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;

/**
 * Where a cache's keys and values lie by slots of an arena. A slot holds the key and the value of
 * one token in one head, in every row.
 *
 * <p>The store alone knows how entries are laid down. Caches put and get tensors of the compute
 * type and name slots; {@link KvStorage} says how many bytes a slot takes.
 */
final class KvStore implements AutoCloseable {
  private final DeviceOps ops;
  private final KvStorage type;
  private final DType compute;
  // [2, batch, slots, width]; index 0 keys, 1 values. A row's slots lie together, so that a
  // picture leaves by a move of whole rows and those that stay are a prefix.
  private final KvArena arena;
  private final KvParts parts;

  /**
   * @param slots head-tokens of all layers and heads
   */
  KvStore(Backend backend, Device device, KvShape shape, KvStorage type, long slots) {
    ops = backend.ops(device);
    this.type = type;
    compute = shape.dtype();
    parts = type.parts(shape, slots);
    arena =
        new KvArena(
            backend,
            device,
            shape,
            type.dtype(compute),
            1,
            2,
            shape.batch(),
            slots,
            type.width(shape.headDim()));
  }

  /** Rows served now. */
  int rows() {
    return arena.rows();
  }

  /** See {@link KvCache#removeRows}. */
  void removeRows(int first, int count) {
    arena.removeRows(first, count);
  }

  /** The rows served now [2, rows, slots, width]; a view. */
  private Tensor served() {
    return arena.served();
  }

  /** Whether slots hold what is attended to. */
  private boolean isPlain() {
    return type.dtype(compute) == compute;
  }

  /**
   * Keys in slots that follow one another, stored in the compute type [rows, heads, tokens,
   * head_dim]; a view.
   */
  Tensor keys(long first, long heads, long tokens) {
    return run(0, first, heads, tokens);
  }

  /** Values in such slots, same shape; a view. */
  Tensor values(long first, long heads, long tokens) {
    return run(1, first, heads, tokens);
  }

  private Tensor run(int part, long first, long heads, long tokens) {
    return served()
        .select(0, part)
        .narrow(1, first, heads * tokens)
        .reshape(rows(), heads, tokens, arena.size(3));
  }

  /**
   * Attention over slots and all tokens of the current scale.
   *
   * @param q [rows, heads, tokens, head_dim], k and v of the current scale, same shape
   * @param slots int64 [sum of lengths], head after head, the same in all rows
   * @param ranges where each head's slots lie
   * @return [rows, heads, tokens, head_dim]
   */
  Tensor attend(Tensor q, Tensor k, Tensor v, Tensor slots, HeadRanges ranges) {
    note(k, v, slots.count());
    HeadRanges served = ranges.ofRows(rows());
    if (isPlain()) {
      return ops.attentionOverSlots(q, k, v, served(), slots, served, 1);
    }
    try (Scope scope = Scope.open()) {
      Tensor retained = type.decode(ops.gatherSlots(served(), slots), compute, ops);
      return scope.keep(ops.attentionOverRetained(q, k, v, retained, served, 1));
    }
  }

  /**
   * Puts all tokens of some heads into slots, head after head.
   *
   * @param slots int64 [heads put * tokens], the same in all rows
   * @param heads put, int64, ascending
   * @param k [rows, heads, tokens, head_dim]
   * @param v same shape
   */
  void put(Tensor slots, Tensor heads, Tensor k, Tensor v) {
    try (Scope _ = Scope.open()) {
      ops.scatterSlots(served(), slots, heads, type.encode(k, ops), type.encode(v, ops));
    }
  }

  /**
   * Puts single tokens.
   *
   * @param places of each, see {@link #place}
   * @param tokens numbers of the tokens among those of all rows and heads
   * @param k [rows, heads, tokens, head_dim]
   * @param v same shape
   */
  void put(long[] places, long[] tokens, Tensor k, Tensor v) {
    if (places.length == 0) {
      return;
    }
    Tensor target = index(places);
    Tensor source = index(tokens);
    Ops.indexCopy(places().select(0, 0), 0, target, pick(k, source));
    Ops.indexCopy(places().select(0, 1), 0, target, pick(v, source));
  }

  private Tensor pick(Tensor scale, Tensor tokens) {
    return type.encode(Ops.indexSelect(scale.reshape(-1, scale.size(3)), 0, tokens), ops);
  }

  /**
   * Reads what each row has in slots of its own.
   *
   * @param places as many of every row, row after row, see {@link #place}
   * @return keys and values [2, rows, places of a row, head_dim]; a copy
   */
  Tensor read(long[] places) {
    Tensor found =
        Ops.indexSelect(places(), 1, index(places))
            .reshape(2, rows(), places.length / rows(), arena.size(3));
    return type.decode(found, compute, ops);
  }

  /** Number of a row's slot among those of all rows. */
  long place(int row, int slot) {
    return row * arena.size(2) + slot;
  }

  /** All rows' slots one after another [2, places, width]; a view. */
  private Tensor places() {
    return arena.whole().reshape(2, -1, arena.size(3));
  }

  /** Indices on the store's device. */
  Tensor index(long[] values) {
    Tensor all = arena.whole();
    return Tensor.of(all.backend(), values, values.length).to(all.device());
  }

  /** Notes the current scale's keys and values, and slots of every row that may be copied. */
  void note(Tensor k, Tensor v, long slots) {
    arena.note(k, v, 2L * rows() * slots * k.size(3) * k.dtype().bytes());
  }

  /** What was allocated, and noted so far. */
  KvMemory memory() {
    return memory(0);
  }

  /** The same with tables that say where entries lie. */
  KvMemory memory(long tables) {
    return arena.memory(new KvParts(parts.numbers(), parts.loss(), tables));
  }

  @Override
  public void close() {
    arena.close();
  }
}
