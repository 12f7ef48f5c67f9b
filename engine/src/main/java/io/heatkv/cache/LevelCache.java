package io.heatkv.cache;

import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.StoredStep;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A cache that stores every atom at a level of its own, all by a plan: an arena of exactly the
 * plan's granules.
 */
final class LevelCache implements KvCache {
  private final KvShape shape;
  private final Steps steps;
  private final Backend backend;
  private final Device device;
  private final DeviceOps ops;
  // uint8 [batch, granules, head_dim / 2]
  private final KvArena arena;
  private final KvParts planned;
  private Scope onDevice = Scope.detached();
  private int preparedScale = -1;
  private List<StoredStep.Tables> prepared = List.of();
  // The group of layers whose tables are on the device, and the first of them.
  private int group = -1;
  private int firstLayer;
  private @Nullable Tensor groupTables;
  private long mostTables;

  /** What layers read, move and write. */
  interface Steps {
    /** Granules of head_dim / 2 bytes in each row. */
    int granules();

    /** Of all layers at a scale. */
    List<StoredStep.Maps> at(int scale);

    /** Most entries that a layer reads at a scale, all heads together, each in whole tiles. */
    long mostEntries();

    /** Where groups of layers end whose tables are on a device at a time, at a scale. */
    int[] groups(int scale);

    /** The same as tables, of each group. */
    default List<StoredStep.Tables> tables(int scale, KvShape shape) {
      DType half = shape.dtype() == DType.BF16 ? DType.BF16 : DType.F16;
      List<StoredStep.Maps> layers = at(scale);
      List<StoredStep.Tables> all = new ArrayList<>();
      int first = 0;
      for (int end : groups(scale)) {
        all.add(
            StoredStep.tables(half, shape.heads(), shape.headDim(), layers.subList(first, end)));
        first = end;
      }
      return all;
    }
  }

  static KvPlan plan(KvShape shape, KvParts parts, Steps steps) {
    long bytes = (long) shape.batch() * steps.granules() * (shape.headDim() / 2);
    // What is read is decoded; attention has an output less than where the current scale's and that
    // of earlier ones are merged, as an estimate of what attending takes has it.
    long outputs = (long) shape.heads() * shape.grids().last().tokens();
    long copies = shape.bytesPerHeadToken() * Math.max(0, 2 * steps.mostEntries() - outputs) / 2;
    return new KvPlan(
        bytes,
        parts,
        bytes,
        copies,
        (backend, device) -> new LevelCache(backend, device, shape, parts, steps));
  }

  private LevelCache(Backend backend, Device device, KvShape shape, KvParts planned, Steps steps) {
    this.shape = shape;
    this.planned = planned;
    this.steps = steps;
    this.backend = backend;
    this.device = device;
    ops = backend.ops(device);
    arena =
        new KvArena(
            backend,
            device,
            shape,
            DType.U8,
            0,
            shape.batch(),
            steps.granules(),
            shape.headDim() / 2);
  }

  @Override
  public Tensor attend(int layer, int scale, Tensor q, Tensor k, Tensor v) {
    Tensor tables = tables(layer, scale);
    StoredStep step = prepared.get(group).steps().get(layer - firstLayer);
    try (Scope scope = Scope.open()) {
      arena.note(k, v, ops.workspace(k, step));
      return scope.keep(ops.attendAndStore(q, k, v, arena.whole(), step, tables, 1));
    }
  }

  @Override
  public @Nullable Object repeatKey(int scale) {
    Tensor tables = tables(0, scale);
    return prepared.size() > 1
        ? null
        : List.of(prepared.getFirst().steps().getFirst(), arena.repeatKey(), tables.address());
  }

  /** Tables of a layer's group at a scale, on the device; brought there once. */
  private Tensor tables(int layer, int scale) {
    if (scale != preparedScale) {
      prepared = steps.tables(scale, shape);
      preparedScale = scale;
      group = -1;
    }
    Tensor known = groupTables;
    if (known != null
        && group >= 0
        && layer >= firstLayer
        && layer < firstLayer + prepared.get(group).steps().size()) {
      return known;
    }
    int first = 0;
    int wanted = 0;
    while (layer >= first + prepared.get(wanted).steps().size()) {
      first += prepared.get(wanted++).steps().size();
    }
    onDevice.close();
    onDevice = Scope.detached();
    int[] numbers = prepared.get(wanted).numbers();
    try (Scope _ = Scope.open()) {
      known = onDevice.adopt(Tensor.of(backend, numbers, numbers.length).to(device));
    }
    mostTables = Math.max(mostTables, known.bytes());
    groupTables = known;
    group = wanted;
    firstLayer = first;
    return known;
  }

  /** Everything that is stored, uint8 [batch, granules, head_dim / 2]. */
  Tensor arena() {
    return arena.whole();
  }

  @Override
  public void repeated(KvMemory then) {
    arena.repeated(then);
  }

  @Override
  public void removeRows(int first, int count) {
    arena.removeRows(first, count);
  }

  @Override
  public KvMemory memory() {
    return arena.memory(new KvParts(planned.numbers(), planned.loss(), mostTables));
  }

  @Override
  public void close() {
    onDevice.close();
    arena.close();
  }
}
