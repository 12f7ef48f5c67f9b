package io.heatkv.cache;

import io.heatkv.scale.ScaleSize;
import io.heatkv.schedule.LevelStep;
import io.heatkv.schedule.LevelStep.Move;
import io.heatkv.schedule.LevelSteps;
import io.heatkv.schedule.StoredAtom;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.NumberFormat;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.StoredMap;
import io.heatkv.tensor.StoredMaps;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * A cache that stores every atom at a level of its own, all by a plan: an arena of exactly the
 * plan's granules.
 */
public final class LevelCache implements KvCache {
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
  }

  /**
   * What a plan takes.
   *
   * @param steps for the shape's layers, heads, head_dim and scales
   */
  public static KvPlan plan(KvShape shape, LevelSteps steps) {
    return plan(
        shape,
        new Steps() {
          @Override
          public int granules() {
            return steps.granules();
          }

          @Override
          public List<List<StoredMap>> at(int scale) {
            List<List<StoredMap>> lists = new ArrayList<>();
            for (int layer = 0; layer < shape.layers(); layer++) {
              LevelStep step = steps.step(scale, layer);
              lists.add(maps(shape, step.reads()));
              lists.add(maps(shape, step.moves().stream().map(Move::from).toList()));
              lists.add(maps(shape, step.moves().stream().map(Move::to).toList()));
              lists.add(maps(shape, step.writes()));
            }
            return lists;
          }
        });
  }

  static KvPlan plan(KvShape shape, Steps steps) {
    long bytes = (long) shape.batch() * steps.granules() * (shape.headDim() / 2);
    return new KvPlan(
        bytes, bytes, (backend, device) -> new LevelCache(backend, device, shape, steps));
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
    DType half = shape.dtype() == DType.BF16 ? DType.BF16 : DType.F16;
    tables =
        StoredMaps.of(
            backend, device, half, shape.heads(), shape.headDim(), steps.at(scale), onDevice);
    tablesScale = scale;
  }

  private static List<StoredMap> maps(KvShape shape, List<StoredAtom> atoms) {
    return atoms.stream().map(atom -> map(shape, atom)).toList();
  }

  static StoredMap map(KvShape shape, StoredAtom stored) {
    ScaleSize size = shape.schedule().size(stored.atom().source());
    NumberFormat keys =
        switch (stored.level().precision()) {
          case FLOAT16 -> NumberFormat.FLOAT16;
          case INT8, K8V4 -> NumberFormat.INT8;
          case INT4 -> NumberFormat.INT4;
        };
    NumberFormat values =
        switch (stored.level().precision()) {
          case FLOAT16 -> NumberFormat.FLOAT16;
          case INT8 -> NumberFormat.INT8;
          case K8V4, INT4 -> NumberFormat.INT4;
        };
    return new StoredMap(
        stored.atom().head(),
        size.height(),
        size.width(),
        stored.level().pool(),
        keys,
        values,
        stored.runs());
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
