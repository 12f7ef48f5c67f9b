package io.heatkv.cache;

import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.HeadRanges;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import org.jspecify.annotations.Nullable;

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

  /** See {@link KvCache#repeatKey}. */
  Object repeatKey() {
    return arena.repeatKey();
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
   * Entries of heads that hold equally many tokens, as they are stored.
   *
   * @param slots int64 [heads * held], head after head, the same in all rows
   * @return [2, rows, heads * held, width]; null for no slots
   */
  @Nullable Tensor entries(Tensor slots) {
    return slots.count() == 0 ? null : ops.gatherSlots(served(), slots);
  }

  /**
   * Keys of such entries.
   *
   * @return [rows, heads, held, head_dim], of the compute type
   */
  Tensor keys(Tensor entries, long heads) {
    return decoded(entries.select(0, 0), heads);
  }

  private Tensor decoded(Tensor stored, long heads) {
    Tensor entries = type.decode(stored, compute, ops);
    return entries.reshape(rows(), heads, entries.size(1) / heads, entries.size(2));
  }

  /**
   * Attention over such entries of all heads and all tokens of the current scale, with the
   * log-sum-exp of each query's scores.
   *
   * @param q [rows, heads, tokens, head_dim], k and v of the current scale, same shape
   */
  Ops.AttentionParts attendWithLse(Tensor q, Tensor k, Tensor v, @Nullable Tensor entries) {
    if (entries == null) {
      note(k, v, 0);
      return ops.attentionWithLse(q, k, v, 1);
    }
    note(k, v, entries.size(2));
    try (Scope scope = Scope.open()) {
      Ops.AttentionParts parts =
          ops.attentionOverBothWithLse(
              q,
              k,
              v,
              decoded(entries.select(0, 0), q.size(1)),
              decoded(entries.select(0, 1), q.size(1)),
              1);
      scope.keep(parts.output());
      scope.keep(parts.lse());
      return parts;
    }
  }

  /**
   * Puts other tokens into the slots of heads: some of those that each held, some of the scale's.
   * What was held is moved as it is stored.
   *
   * @param held what {@link #entries} gave; null if nothing was held
   * @param slots int64 [heads * tokens kept], head after head; may be some of those that held
   * @param entries int64, of each slot what it gets: of the held and the current tokens of one head
   *     after the other, in one row for all rows or row after row
   * @param k [rows, heads, tokens, head_dim]
   * @param v same shape
   */
  void replace(@Nullable Tensor held, Tensor slots, Tensor entries, Tensor k, Tensor v) {
    try (Scope _ = Scope.open()) {
      ops.replaceSlots(served(), slots, entries, held, type.encode(k, ops), type.encode(v, ops));
    }
  }

  /** Notes the current scale's keys and values, and slots of every row that may be copied. */
  void note(Tensor k, Tensor v, long slots) {
    arena.note(k, v, 2L * rows() * slots * k.size(3) * k.dtype().bytes());
  }

  /** See {@link KvCache#repeated}. */
  void repeated(KvMemory then) {
    arena.repeated(then);
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
