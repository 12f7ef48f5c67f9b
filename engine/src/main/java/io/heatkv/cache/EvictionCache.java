package io.heatkv.cache;

import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/**
 * A cache from which an {@link EvictionRule} drops tokens: one store of the budget's size for all
 * layers and heads.
 *
 * <p>A layer attends to what its heads hold and to all tokens of the current scale. Then its heads
 * choose, each row for itself; slots of dropped tokens are given back; and the chosen tokens of the
 * scale are put into free ones. Keys are stored as they come, with their rotary positions. The last
 * scale is never stored.
 */
final class EvictionCache implements KvCache {
  private final KvShape shape;
  private final EvictionRule rule;
  private final Quotas quotas;
  private final DeviceOps ops;
  private final KvStore store;
  private final List<Row> rows = new ArrayList<>();
  // Rows hold the same tokens as long as no rule has looked at their attention.
  private boolean alike = true;

  /**
   * What a row holds.
   *
   * @param entries [layer][head]
   */
  private record Row(RowSlots slots, HeadEntries[][] entries) {}

  EvictionCache(
      Backend backend,
      Device device,
      KvShape shape,
      EvictionRule rule,
      Quotas quotas,
      KvStorage type,
      int capacity) {
    this.shape = shape;
    this.rule = rule;
    this.quotas = quotas;
    ops = backend.ops(device);
    for (int row = 0; row < shape.batch(); row++) {
      HeadEntries[][] entries = new HeadEntries[shape.layers()][shape.heads()];
      for (HeadEntries[] layer : entries) {
        Arrays.fill(layer, HeadEntries.NONE);
      }
      rows.add(new Row(new RowSlots(capacity), entries));
    }
    store = new KvStore(backend, device, shape, type, capacity);
  }

  @Override
  public Tensor attend(int layer, int scale, Tensor q, Tensor k, Tensor v) {
    int[] lengths =
        Arrays.stream(rows.getFirst().entries[layer]).mapToInt(HeadEntries::count).toArray();
    int held = Arrays.stream(lengths).sum();
    try (Scope scope = Scope.open()) {
      Tensor attended;
      Tensor keys = null;
      store.note(k, v, held);
      if (held == 0) {
        attended = ops.attention(q, k, v, 1);
      } else {
        Tensor retained = store.read(places(layer, held));
        keys = retained.select(0, 0);
        attended = RaggedAttention.attend(q, k, v, retained, lengths);
      }
      if (scale < shape.grids().count() - 1) {
        replace(layer, scale, observe(scale, q, k, keys, lengths), k, v);
      }
      return scope.keep(attended);
    }
  }

  /** What the layer's heads hold, row after row and head after head. */
  private long[] places(int layer, int held) {
    long[] places = new long[rows.size() * held];
    int next = 0;
    for (int row = 0; row < rows.size(); row++) {
      for (HeadEntries head : rows.get(row).entries[layer]) {
        for (int slot : head.slots()) {
          places[next++] = store.place(row, slot);
        }
      }
    }
    return places;
  }

  private float @Nullable [][][] observe(
      int scale, Tensor q, Tensor k, @Nullable Tensor retained, int[] lengths) {
    int[] window = rule.window(shape.grids().size(scale));
    if (window.length == 0) {
      return null;
    }
    alike = false;
    long[] queries = Arrays.stream(window).asLongStream().toArray();
    return WindowAttention.of(q, k, retained, lengths, store.index(queries));
  }

  private void replace(int layer, int scale, float @Nullable [][][] attention, Tensor k, Tensor v) {
    int first = shape.grids().offset(scale);
    int tokens = shape.grids().tokens(scale);
    int heads = shape.heads();
    Replacement[][] changes = new Replacement[rows.size()][heads];
    for (int row = 0; row < changes.length; row++) {
      for (int h = 0; h < heads; h++) {
        changes[row][h] =
            new Replacement(
                rows.get(row).entries[layer][h], first, tokens, quotas.count(scale, layer, h));
      }
    }
    inParallel(
        alike ? 1 : changes.length,
        (row, h) -> {
          float[] observed =
              attention == null ? new float[changes[row][h].candidates()] : attention[row][h];
          choose(changes[row][h], layer, scale, h, observed);
        });
    for (int row = 1; alike && row < changes.length; row++) {
      for (int h = 0; h < heads; h++) {
        changes[row][h].repeat(changes[0][h]);
      }
    }
    for (int row = 0; row < changes.length; row++) {
      // All heads give before one takes, so that nothing but the budget bounds them.
      for (Replacement head : changes[row]) {
        head.give(rows.get(row).slots);
      }
      for (Replacement head : changes[row]) {
        head.take(rows.get(row).slots);
      }
    }
    // [row * heads + head]
    LongStream.Builder[] places = new LongStream.Builder[changes.length * heads];
    LongStream.Builder[] sources = new LongStream.Builder[places.length];
    inParallel(
        changes.length,
        (row, h) -> {
          int at = row * heads + h;
          places[at] = LongStream.builder();
          sources[at] = LongStream.builder();
          rows.get(row).entries[layer][h] =
              changes[row][h].result(
                  changes[row - row % shape.pictureRows()][h],
                  (token, slot) -> {
                    places[at].add(store.place(row, slot));
                    sources[at].add((long) at * tokens + token);
                  });
        });
    store.put(join(places), join(sources), k, v);
  }

  private static long[] join(LongStream.Builder[] parts) {
    return Arrays.stream(parts).flatMapToLong(LongStream.Builder::build).toArray();
  }

  private void choose(Replacement replacement, int layer, int scale, int head, float[] observed) {
    int[] tokens = replacement.list(observed);
    Candidates candidates =
        new Candidates(
            shape.grids(),
            scale,
            layer,
            head,
            quotas.count(scale, layer, head),
            tokens,
            observed,
            replacement.accumulated());
    replacement.keepBest(rule.scores(candidates));
  }

  /** One head of one row. */
  private interface Choice {
    void run(int row, int head);
  }

  /** Runs a choice for all heads of some rows; with many rows that is most of a cache's time. */
  private void inParallel(int count, Choice choice) {
    int heads = shape.heads();
    // A stream would wrap it in another of its kind.
    Queue<RuntimeException> failures = new ConcurrentLinkedQueue<>();
    IntStream.range(0, count * heads)
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

  @Override
  public void removeRows(int first, int count) {
    store.removeRows(first, count);
    int moved = Math.min(count, rows.size() - first - count);
    for (int i = 0; i < moved; i++) {
      rows.set(first + i, rows.get(rows.size() - moved + i));
    }
    rows.subList(rows.size() - count, rows.size()).clear();
  }

  /** Tokens that a head holds for a row, ascending. */
  int[] tokens(int layer, int head, int row) {
    return rows.get(row).entries[layer][head].sortedTokens();
  }

  /** What is handed out of the budget in every row. */
  RowSlots slots() {
    return rows.getFirst().slots;
  }

  @Override
  public KvMemory memory() {
    return store.memory();
  }

  @Override
  public void close() {
    store.close();
  }
}
