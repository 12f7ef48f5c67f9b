package io.heatkv.cache;

import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.Arrays;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A cache from which an {@link EvictionRule} drops tokens: one arena of the budget's size for all
 * layers and heads.
 *
 * <p>A layer attends to what its heads hold and to all tokens of the current scale. Then its heads
 * choose; slots of dropped tokens are given back; and the chosen tokens of the scale are written.
 * Keys are stored as they come, with their rotary positions. The last scale is never stored.
 */
final class EvictionCache implements KvCache {
  private final KvShape shape;
  private final EvictionRule rule;
  private final Quotas quotas;
  private final SlotArena arena;
  // [layer][head]
  private final HeadEntries[][] entries;
  private final DeviceOps ops;
  private final MemoryMeter meter = new MemoryMeter();

  EvictionCache(
      Backend backend,
      Device device,
      KvShape shape,
      EvictionRule rule,
      Quotas quotas,
      int capacity) {
    this.shape = shape;
    this.rule = rule;
    this.quotas = quotas;
    ops = backend.ops(device);
    entries = new HeadEntries[shape.layers()][shape.heads()];
    for (HeadEntries[] layer : entries) {
      Arrays.setAll(layer, _ -> new HeadEntries(shape.batch()));
    }
    arena = new SlotArena(backend, device, shape, capacity);
  }

  @Override
  public Tensor attend(int layer, int scale, Tensor q, Tensor k, Tensor v) {
    int[] lengths = Arrays.stream(entries[layer]).mapToInt(HeadEntries::count).toArray();
    int[] slots =
        Arrays.stream(entries[layer]).flatMapToInt(head -> Arrays.stream(head.slots())).toArray();
    try (Scope scope = Scope.open()) {
      Tensor attended;
      Tensor retained = null;
      if (slots.length == 0) {
        meter.add(k, v);
        attended = ops.attention(q, k, v, 1);
      } else {
        retained = arena.readAllRows(slots);
        meter.add(k, v, retained.bytes());
        attended = RaggedAttention.attend(q, k, v, retained, lengths);
      }
      if (scale < shape.schedule().count() - 1) {
        Tensor keys = retained == null ? null : retained.select(0, 0);
        replace(layer, scale, observe(scale, q, k, keys, lengths), k, v);
      }
      return scope.keep(attended);
    }
  }

  private float @Nullable [][][] observe(
      int scale, Tensor q, Tensor k, @Nullable Tensor retained, int[] lengths) {
    int[] window = rule.window(shape.schedule().size(scale));
    if (window.length == 0) {
      return null;
    }
    long[] queries = Arrays.stream(window).asLongStream().toArray();
    return WindowAttention.of(q, k, retained, lengths, arena.index(queries));
  }

  private void replace(int layer, int scale, float @Nullable [][][] attention, Tensor k, Tensor v) {
    Replacement[] heads = new Replacement[shape.heads()];
    for (int h = 0; h < heads.length; h++) {
      heads[h] =
          new Replacement(
              entries[layer][h],
              shape.schedule().offset(scale),
              shape.schedule().tokens(scale),
              quotas.count(scale, layer, h),
              shape.batch());
    }
    // Without attention all rows choose as the first.
    int choices = attention == null ? 1 : shape.batch();
    inParallel(choices, (row, h) -> choose(heads[h], row, layer, scale, h, attention));
    for (Replacement head : heads) {
      for (int row = choices; row < shape.batch(); row++) {
        head.repeatFirst(row);
      }
    }
    // All heads give before one takes, so that nothing but the budget bounds them.
    for (Replacement head : heads) {
      head.give(arena);
    }
    for (Replacement head : heads) {
      head.take(arena);
    }
    SlotWrites writes = new SlotWrites(shape.batch(), heads.length, shape.schedule().tokens(scale));
    inParallel(shape.batch(), (row, h) -> heads[h].place(row, arena, writes.row(row, h)));
    for (Replacement head : heads) {
      head.commit();
    }
    writes.run(arena, k, v);
  }

  private void choose(
      Replacement replacement,
      int row,
      int layer,
      int scale,
      int head,
      float @Nullable [][][] attention) {
    float[] observed =
        attention == null ? new float[replacement.candidates()] : attention[row][head];
    int[] tokens = replacement.list(row, observed);
    Candidates candidates =
        new Candidates(
            shape.schedule(),
            scale,
            layer,
            head,
            quotas.count(scale, layer, head),
            tokens,
            observed,
            replacement.accumulated(row));
    replacement.keepBest(row, rule.scores(candidates));
  }

  /** One head of one row. */
  private interface Choice {
    void run(int row, int head);
  }

  /** Runs a choice for all heads of some rows; with many rows that is most of a cache's time. */
  private void inParallel(int rows, Choice choice) {
    int heads = shape.heads();
    // A stream would wrap it in another of its kind.
    Queue<RuntimeException> failures = new ConcurrentLinkedQueue<>();
    IntStream.range(0, rows * heads)
        .parallel()
        .forEach(i -> {
          try {
            choice.run(i / heads, i % heads);
          } catch (RuntimeException e) {
            failures.add(e);
          }
        });
    if (!failures.isEmpty()) {
      throw failures.remove();
    }
  }

  /** Tokens that a head holds for a row, ascending. */
  int[] tokens(int layer, int head, int row) {
    return entries[layer][head].tokens(row);
  }

  /** What is handed out of the budget. */
  SlotArena arena() {
    return arena;
  }

  @Override
  public KvMemory memory() {
    return meter.report(arena.tensor());
  }

  @Override
  public void close() {
    arena.close();
  }
}
