package io.heatkv.cache;

import io.heatkv.cache.EvictionPlan.Change;
import io.heatkv.cache.EvictionPlan.Group;
import io.heatkv.cache.EvictionPlan.Run;
import io.heatkv.cache.EvictionPlan.Step;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.HeadRanges;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/**
 * A cache from which an {@link EvictionRule} drops tokens: one store of the budget's size for all
 * layers and heads.
 *
 * <p>A layer attends to what its heads hold and to all tokens of the current scale. Then its heads
 * choose, each row for itself, on the device; what they keep takes their slots. Keys are stored as
 * they come, with their rotary positions. The last scale is never stored.
 */
final class EvictionCache implements KvCache {
  private final KvShape shape;
  private final EvictionPlan plan;
  private final DeviceOps ops;
  private final KvStore store;
  private final Scope onDevice = Scope.detached();
  private final Tensor numbers;
  private final Tensor counting;
  private final List<HeadRanges> ranges;
  // Of an attention rule alone: by scale, and what its groups hold.
  private final List<Tensor> flags = new ArrayList<>();
  private final IdentityHashMap<Group, HeldTokens> held = new IdentityHashMap<>();
  // [layer]: scales attended to
  private final int[] scales;

  EvictionCache(
      Backend backend,
      Device device,
      KvShape shape,
      EvictionPlan plan,
      KvStorage type,
      int capacity) {
    this.shape = shape;
    this.plan = plan;
    ops = backend.ops(device);
    scales = new int[shape.layers()];
    // Before anything is allocated: a rule may fail.
    long[] all = plan.numbers();
    store = new KvStore(backend, device, shape, type, capacity);
    try (Scope _ = Scope.open()) {
      numbers = onDevice.adopt(Tensor.of(backend, all, all.length).to(device));
      long[] upwards = LongStream.range(0, counted(shape)).toArray();
      counting = onDevice.adopt(Tensor.of(backend, upwards, upwards.length).to(device));
      ranges = HeadRanges.of(backend, device, shape.batch(), layers(plan, shape), onDevice);
      if (plan.rule() instanceof AttentionRule) {
        observe();
      }
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  /** Numbers that count tokens, and rows' heads. */
  private static long counted(KvShape shape) {
    return Math.max(shape.grids().cachedTokens() + 1L, (long) shape.batch() * shape.heads());
  }

  private static List<HeadRanges.Layer> layers(EvictionPlan plan, KvShape shape) {
    return IntStream.range(0, plan.steps().size())
        .mapToObj(i ->
            new HeadRanges.Layer(
                plan.steps().get(i).lengths().stream().mapToInt(length -> length).toArray(),
                shape.grids().tokens(i / shape.layers())))
        .toList();
  }

  private void observe() {
    for (int t = 0; t < shape.grids().count() - 1; t++) {
      flags.add(onDevice.adopt(Ops.less(counting.narrow(0, 0, 1), numbers(plan.flags(t)))));
    }
    HeldTokens.Counting types = HeldTokens.Counting.of(counting, onDevice);
    for (int l = 0; l < shape.layers(); l++) {
      for (Change change : plan.step(0, l).changes()) {
        held.put(change.group(), new HeldTokens(shape, l, change.group(), types));
      }
    }
  }

  /** Bytes beside keys and values: where they lie, and what is known of them in the end. */
  static long tableBytes(EvictionPlan plan, KvShape shape) {
    long rowHeads = shape.batch() * (long) shape.heads();
    long bytes =
        Long.BYTES * (plan.count() + counted(shape))
            + 2L * plan.steps().size() * (rowHeads + 1) * Integer.BYTES;
    if (plan.rule() instanceof AttentionRule rule) {
      bytes += counted(shape) * (Integer.BYTES + Double.BYTES) + plan.flags();
      for (Group group : plan.groups()) {
        bytes += HeldTokens.bytes(rule, shape, group);
      }
    }
    return bytes;
  }

  @Override
  public Tensor attend(int layer, int scale, Tensor q, Tensor k, Tensor v) {
    Step step = plan.step(scale, layer);
    try (Scope scope = Scope.open()) {
      Tensor entries = null;
      Tensor lse = null;
      Tensor attended;
      if (observesAll(step, scale, q) && ops.sumsByLse(q)) {
        entries = store.entries(numbers(step.held()));
        Ops.AttentionParts parts = store.attendWithLse(q, k, v, entries);
        attended = parts.output();
        lse = parts.lse();
      } else if (step.held().count() == 0) {
        store.note(k, v, 0);
        attended = ops.attention(q, k, v, 1);
      } else {
        HeadRanges heads = ranges.get(scale * shape.layers() + layer);
        attended = store.attend(q, k, v, numbers(step.held()), heads);
      }
      for (Change change : step.changes()) {
        try (Scope _ = Scope.open()) {
          Tensor held = entries == null ? entries(change) : entries;
          change(change, scale, of(change, q), of(change, k), of(change, v), held, lse);
        }
      }
      scales[layer] = scale + 1;
      return scope.keep(attended);
    }
  }

  /** Whether what all queries of a layer attend to is summed for all heads at once. */
  private boolean observesAll(Step step, int scale, Tensor q) {
    return step.changes().size() == 1
        && plan.rule() instanceof AttentionRule rule
        && (rule.accumulates() || step.changes().getFirst().drops())
        && plan.window(scale).count() == q.size(2);
  }

  /** What a group holds, where that is looked at or moved. */
  private @Nullable Tensor entries(Change change) {
    boolean accumulates = plan.rule() instanceof AttentionRule rule && rule.accumulates();
    return change.drops() || accumulates ? store.entries(numbers(change.held())) : null;
  }

  private Tensor numbers(Run run) {
    return numbers.narrow(0, run.start(), run.count());
  }

  /** What a group's heads have of all heads'. */
  private Tensor of(Change change, Tensor x) {
    Group group = change.group();
    return group.heads().size() == shape.heads()
        ? x
        : Ops.indexSelect(x, 1, numbers(group.numbers()));
  }

  /**
   * Keeps what a group wants.
   *
   * @param entries what its heads held
   * @param lse log-sum-exp of all queries' scores, where it is known
   */
  private void change(
      Change change,
      int scale,
      Tensor q,
      Tensor k,
      Tensor v,
      @Nullable Tensor entries,
      @Nullable Tensor lse) {
    HeldTokens tokens = held.get(change.group());
    if (!change.drops()) {
      if (tokens != null && plan.rule() instanceof AttentionRule rule) {
        Tensor observed = rule.accumulates() ? observe(change, scale, q, k, entries, lse) : null;
        tokens.keepAll(scale, k.size(0), observed);
      }
      store.put(numbers(change.slots()), counting.narrow(0, 0, k.size(1)), k, v);
      return;
    }
    Tensor chosen =
        tokens != null && plan.rule() instanceof AttentionRule rule
            ? tokens.choose(
                rule, scale, observe(change, scale, q, k, entries, lse), flags(change, scale))
            : numbers(change.entries());
    store.replace(entries, numbers(change.slots()), chosen, k, v);
  }

  /** Which of a group's candidates are observed tokens. */
  private Tensor flags(Change change, int scale) {
    Tensor all = flags.get(scale);
    long candidates = change.group().held(scale) + (long) shape.grids().tokens(scale);
    return all.narrow(0, all.count() - candidates, candidates);
  }

  private Tensor observe(
      Change change,
      int scale,
      Tensor q,
      Tensor k,
      @Nullable Tensor entries,
      @Nullable Tensor lse) {
    Run window = plan.window(scale);
    if (window.count() == 0) {
      long candidates = change.group().held(scale) + k.size(2);
      return Tensor.full(k.backend(), 0, DType.F32, k.device(), k.size(0), k.size(1), candidates);
    }
    // A window of as many queries as there are is all of them, in order.
    Tensor observed = window.count() == q.size(2) ? q : Ops.indexSelect(q, 2, numbers(window));
    Tensor earlier = entries == null ? null : store.keys(entries, k.size(1));
    return ops.columnSums(observed, k, earlier, lse);
  }

  @Override
  public void removeRows(int first, int count) {
    store.removeRows(first, count);
    held.values().forEach(tokens -> tokens.removeRows(first, count));
  }

  /** Tokens that a head holds for a row, ascending. */
  int[] tokens(int layer, int head, int row) {
    int scale = Math.min(scales[layer], shape.grids().count() - 1) - 1;
    for (Change change : plan.step(0, layer).changes()) {
      HeldTokens tokens = held.get(change.group());
      if (tokens != null && change.group().heads().contains(head)) {
        int[] some = tokens.tokens(head, row);
        return some == null ? IntStream.range(0, shape.grids().offset(scale + 1)).toArray() : some;
      }
    }
    return plan.tokens(scale, layer, head);
  }

  @Override
  public KvMemory memory() {
    return store.memory(tableBytes(plan, shape));
  }

  @Override
  public void close() {
    held.values().forEach(HeldTokens::close);
    onDevice.close();
    store.close();
  }
}
