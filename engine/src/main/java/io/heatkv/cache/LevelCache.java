package io.heatkv.cache;

import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.StoredMap;
import io.heatkv.tensor.StoredMaps;
import io.heatkv.tensor.Tensor;
import java.util.List;

/**
 * A cache that stores every atom at a level of its own, all by a plan: an arena of exactly the
 * plan's granules.
 */
final class LevelCache implements KvCache {
  // Lists of a layer's step: read, moved from, moved to, written.
  private static final int LISTS = 4;

  private final KvShape shape;
  private final Steps steps;
  private final Backend backend;
  private final Device device;
  private final DeviceOps ops;
  // uint8 [batch, granules, head_dim / 2]
  private final KvArena arena;
  private Scope onDevice = Scope.detached();
  private int tablesScale = -1;
  private List<StoredMaps> tables = List.of();

  /** What layers read, move and write. */
  interface Steps {
    /** Granules of head_dim / 2 bytes in each row. */
    int granules();

    /**
     * Of all layers at a scale: maps read, moved from, moved to, written; then the next layer's.
     */
    List<List<StoredMap>> at(int scale);

    /** Most entries that a layer reads at a scale, all heads together. */
    long mostEntries();

    /** The same as tables. */
    default StoredMaps.Tables tables(int scale, KvShape shape) {
      DType half = shape.dtype() == DType.BF16 ? DType.BF16 : DType.F16;
      return StoredMaps.tables(half, shape.heads(), shape.headDim(), at(scale));
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
    if (scale != tablesScale) {
      prepare(scale);
    }
    StoredMaps reads = tables.get(layer * LISTS);
    StoredMaps from = tables.get(layer * LISTS + 1);
    StoredMaps to = tables.get(layer * LISTS + 2);
    StoredMaps writes = tables.get(layer * LISTS + 3);
    try (Scope scope = Scope.open()) {
      Tensor attended;
      if (reads.maps().isEmpty()) {
        arena.note(k, v, 0);
        attended = ops.attention(q, k, v, 1);
      } else {
        arena.note(k, v, ops.workspace(k, reads));
        attended = ops.attentionOverMaps(q, k, v, arena.whole(), reads, 1);
      }
      if (!from.maps().isEmpty()) {
        arena.note(k, v, 2L * arena.rows() * from.entries() * shape.headDim() * Float.BYTES);
        ops.moveMaps(arena.whole(), arena.rows(), from, to);
      }
      if (!writes.maps().isEmpty()) {
        ops.encodeMaps(arena.whole(), writes, k, v);
      }
      return scope.keep(attended);
    }
  }

  /** Brings the tables of all layers at a scale to the device. */
  private void prepare(int scale) {
    onDevice.close();
    onDevice = Scope.detached();
    tables = StoredMaps.of(backend, device, steps.tables(scale, shape), onDevice);
    tablesScale = scale;
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
