package io.heatkv.cache;

import io.heatkv.scale.ScaleSize;
import io.heatkv.schedule.LevelPlan;
import io.heatkv.schedule.LevelStep;
import io.heatkv.schedule.LevelStep.Move;
import io.heatkv.schedule.LevelSteps;
import io.heatkv.schedule.StoredAtom;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.NumberFormat;
import io.heatkv.tensor.StoredMap;
import io.heatkv.tensor.StoredStep;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Storage in which every level and place is planned, for any number of pictures. */
public final class PlannedLevels {
  private final LevelSteps steps;
  private final LevelPlan.Use use;
  // Made at the first generation, the same for all others.
  private final Map<Key, List<StoredStep.Tables>> tables = new ConcurrentHashMap<>();

  private record Key(int scale, DType dtype) {}

  private long mostEntries = -1;

  /**
   * @param use what the bytes of one row are at the fullest moment, and tables
   */
  public PlannedLevels(LevelSteps steps, LevelPlan.Use use) {
    this.steps = steps;
    this.use = use;
  }

  /**
   * What the plan takes.
   *
   * @param shape of the layers, heads, head_dim and scales that are planned
   */
  public KvPlan plan(KvShape shape) {
    return LevelCache.plan(
        shape,
        new KvParts(shape.batch() * use.numbers(), shape.batch() * use.loss(), use.tables()),
        new LevelCache.Steps() {
          @Override
          public int granules() {
            return steps.granules();
          }

          @Override
          public List<StoredStep.Maps> at(int scale) {
            return maps(shape, scale);
          }

          @Override
          public long mostEntries() {
            return entries(shape);
          }

          @Override
          public int[] groups(int scale) {
            return steps.groups(scale);
          }

          @Override
          public List<StoredStep.Tables> tables(int scale, KvShape any) {
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
          long[] entries = new long[shape.heads()];
          for (StoredAtom read : steps.step(scale, layer).reads()) {
            ScaleSize size = shape.grids().size(read.atom().source());
            entries[read.atom().head()] += read.level().entries(size);
          }
          long inTiles = 0;
          for (long count : entries) {
            inTiles += Math.ceilDiv(count, StoredStep.TILE) * StoredStep.TILE;
          }
          most = Math.max(most, inTiles);
        }
      }
      mostEntries = most;
    }
    return mostEntries;
  }

  private List<StoredStep.Maps> maps(KvShape shape, int scale) {
    List<StoredStep.Maps> layers = new ArrayList<>();
    for (int layer = 0; layer < shape.layers(); layer++) {
      LevelStep step = steps.step(scale, layer);
      List<StoredMap> to = new ArrayList<>();
      step.moves().forEach(move -> to.add(map(shape, move.to())));
      step.writes().forEach(atom -> to.add(map(shape, atom)));
      List<StoredAtom> from = step.moves().stream().map(Move::from).toList();
      layers.add(new StoredStep.Maps(maps(shape, step.reads()), maps(shape, from), to));
    }
    return layers;
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
