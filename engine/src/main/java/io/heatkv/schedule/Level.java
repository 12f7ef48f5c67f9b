package io.heatkv.schedule;

import io.heatkv.scale.ScaleSize;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * How an atom is stored, if it isn't dropped.
 *
 * @param pool side of the blocks of the map whose mean key and mean value are one entry: 1, 2, 4 or
 *     8; blocks begin at the first row and column, those at the far edges may be smaller
 * @param precision of the entries
 */
public record Level(int pool, Precision precision) {
  /** All levels, by pool, then precision: a level's number in files is its place here, from 1. */
  public static final List<Level> ALL =
      Stream.of(1, 2, 4, 8)
          .flatMap(pool -> Arrays.stream(Precision.values()).map(p -> new Level(pool, p)))
          .toList();

  public Level {
    if (pool != 1 && pool != 2 && pool != 4 && pool != 8) {
      throw new IllegalArgumentException("blocks of " + pool + " tokens a side");
    }
  }

  /** Entries of a map at this level. */
  public int entries(ScaleSize map) {
    return Math.ceilDiv(map.height(), pool) * Math.ceilDiv(map.width(), pool);
  }

  /** Granules of head_dim / 2 bytes that an atom takes in one row. */
  public int granules(ScaleSize map, int headDim) {
    int entries = entries(map);
    return entries * precision.entryGranules() + precision.numberGranules(entries, headDim);
  }

  /** Such as {@code 16}, {@code 8:1/2} or {@code k8v4:1/4}. */
  @Override
  public String toString() {
    return pool == 1 ? precision.toString() : precision + ":1/" + pool;
  }
}
