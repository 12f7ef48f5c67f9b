package io.heatkv.cache;

import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.StoredStep;
import io.heatkv.tensor.Tensor;
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
  private Scope onDevice = Scope.detached();
  private int preparedScale = -1;
  private List<StoredStep> prepared = List.of();
  private @Nullable Tensor scaleTables;

  /** What layers read, move and write. */
  interface Steps {
    /** Granules of head_dim / 2 bytes in each row. */
    int granules();

    /** Of all layers at a scale. */
    List<StoredStep.Maps> at(int scale);

    /** Most entries that a layer reads at a scale, all heads together, each in whole tiles. */
    long mostEntries();

    /** The same as tables. */
    default StoredStep.Tables tables(int scale, KvShape shape) {
      DType half = shape.dtype() == DType.BF16 ? DType.BF16 : DType.F16;
      return StoredStep.tables(half, shape.heads(), shape.headDim(), at(scale));
    }
  }

  static KvPlan plan(KvShape shape, Steps steps) {
    long bytes = (long) shape.batch() * steps.granules() * (shape.headDim() / 2);
    // What is read is decoded, and attention to it is an output of its own until it is merged.
    long outputs = (long) shape.heads() * shape.grids().last().tokens();
    long copies = shape.bytesPerHeadToken() * (2 * steps.mostEntries() + outputs) / 2;
    return new KvPlan(
        bytes, bytes, copies, (backend, device) -> new LevelCache(backend, device, shape, steps));
  }

  private LevelCache(Backend backend, Device device, KvShape shape, Steps steps) {
    this.shape = shape;
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
    Tensor tables = tables(scale);
    StoredStep step = prepared.get(layer);
    try (Scope scope = Scope.open()) {
      arena.note(k, v, ops.workspace(k, step));
      return scope.keep(ops.attendAndStore(q, k, v, arena.whole(), step, tables, 1));
    }
  }

  /** Tables of all layers at a scale, on the device; brought there once. */
  private Tensor tables(int scale) {
    Tensor known = scaleTables;
    if (known != null && scale == preparedScale) {
      return known;
    }
    onDevice.close();
    onDevice = Scope.detached();
    StoredStep.Tables made = steps.tables(scale, shape);
    try (Scope _ = Scope.open()) {
      int[] numbers = device.isCuda() ? made.numbers() : new int[1];
      known = onDevice.adopt(Tensor.of(backend, numbers, numbers.length).to(device));
    }
    scaleTables = known;
    prepared = made.steps();
    preparedScale = scale;
    return known;
  }

  /** Everything that is stored, uint8 [batch, granules, head_dim / 2]. */
  Tensor arena() {
    return arena.whole();
  }

  @Override
  public void removeRows(int first, int count) {
    arena.removeRows(first, count);
  }

  @Override
  public KvMemory memory() {
    return arena.memory();
  }

  @Override
  public void close() {
    onDevice.close();
    arena.close();
  }
}
