package io.heatkv.cache;

import io.heatkv.scale.ScaleSize;
import io.heatkv.schedule.LevelStep;
import io.heatkv.schedule.LevelStep.Move;
import io.heatkv.schedule.LevelSteps;
import io.heatkv.schedule.StoredAtom;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.NumberFormat;
import io.heatkv.tensor.StoredMap;
import io.heatkv.tensor.StoredMaps;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Storage in which every level and place is planned, for any number of pictures. */
public final class PlannedLevels {
  private final LevelSteps steps;
  // Made at the first generation, the same for all others.
  private final Map<Key, StoredMaps.Tables> tables = new ConcurrentHashMap<>();

  private record Key(int scale, DType dtype) {}

  private long mostEntries = -1;

  public PlannedLevels(LevelSteps steps) {
    this.steps = steps;
  }

  /**
   * What the plan takes.
   *
   * @param shape of the layers, heads, head_dim and scales that are planned
   */
  public KvPlan plan(KvShape shape) {
    return LevelCache.plan(
        shape,
        new LevelCache.Steps() {
          @Override
          public int granules() {
            return steps.granules();
          }

          @Override
          public List<List<StoredMap>> at(int scale) {
            return lists(shape, scale);
          }

          @Override
          public long mostEntries() {
            return entries(shape);
          }

          @Override
          public StoredMaps.Tables tables(int scale, KvShape any) {
            return tables.computeIfAbsent(
                new Key(scale, any.dtype()), _ -> LevelCache.Steps.super.tables(scale, any));
          }
        });
  }

  /** Counted once, since it is the same for any number of pictures. */
  private synchronized long entries(KvShape shape) {
    if (mostEntries < 0) {
      long most = 0;
      for (int scale = 0; scale < shape.grids().count(); scale++) {
        for (int layer = 0; layer < shape.layers(); layer++) {
          long entries = 0;
          for (StoredAtom read : steps.step(scale, layer).reads()) {
            entries += read.level().entries(shape.grids().size(read.atom().source()));
          }
          most = Math.max(most, entries);
        }
      }
      mostEntries = most;
    }
    return mostEntries;
  }

  private List<List<StoredMap>> lists(KvShape shape, int scale) {
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

  private static List<StoredMap> maps(KvShape shape, List<StoredAtom> atoms) {
    return atoms.stream().map(atom -> map(shape, atom)).toList();
  }

  static StoredMap map(KvShape shape, StoredAtom stored) {
    ScaleSize size = shape.grids().size(stored.atom().source());
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
}
