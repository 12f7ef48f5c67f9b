package io.heatkv.cache;

import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.Arrays;
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
      heads[h] = choose(layer, scale, h, attention);
    }
    // All heads give before one takes, so that nothing but the budget bounds them.
    for (Replacement head : heads) {
      head.give(arena);
    }
    SlotWrites writes = new SlotWrites(shape.heads(), shape.schedule().tokens(scale));
    for (int h = 0; h < heads.length; h++) {
      heads[h].take(arena, h, writes);
    }
    writes.run(arena, k, v);
  }

  private Replacement choose(int layer, int scale, int head, float @Nullable [][][] attention) {
    Replacement replacement =
        new Replacement(
            entries[layer][head],
            shape.schedule().offset(scale),
            shape.schedule().tokens(scale),
            quotas.count(scale, layer, head),
            shape.batch());
    for (int row = 0; row < shape.batch(); row++) {
      if (attention == null && row > 0) {
        replacement.repeatFirst(row);
        continue;
      }
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
    return replacement;
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
