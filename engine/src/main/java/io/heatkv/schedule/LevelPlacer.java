package io.heatkv.schedule;

import io.heatkv.schedule.LevelPlan.Use;
import io.heatkv.schedule.LevelStep.Move;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Finds places for atoms whose levels are decided, in the order in which layers write them. */
final class LevelPlacer {
  private final LevelShape shape;
  private final ScheduleShape sizes;
  // [target scale][atom]: number of the level at which the scale before leaves it
  private final byte[][] levels;
  // [scale but the last][layer]: atoms that go down after the layer's attention
  private final int[][][] falling;
  // [source][level]
  private final int[][] granules;
  // [scale but the last][layer]
  private final int[][] live;
  private final @Nullable StoredAtom[] stored;
  private FreeRuns free = new FreeRuns(0);

  /**
   * @param levels [target scale][atom]
   * @param early [scale but the last][layer]: atoms of later layers that go down early
   */
  LevelPlacer(LevelShape shape, byte[][] levels, int[][][] early) {
    this.shape = shape;
    this.levels = levels;
    sizes = shape.sizes();
    granules = shape.granules();
    falling = new int[granules.length][sizes.layers()][];
    live = new int[granules.length][sizes.layers()];
    stored = new StoredAtom[granules.length * sizes.allHeads()];
    follow(early);
  }

  /** Finds what goes down when, and how much is stored then. */
  private void follow(int[][][] early) {
    byte[] at = new byte[stored.length];
    int now = 0;
    for (int t = 0; t < live.length; t++) {
      byte[] after = levels[t + 1];
      for (int l = 0; l < sizes.layers(); l++) {
        int[] codes = Arrays.copyOf(early[t][l], early[t][l].length + t * sizes.heads());
        int count = early[t][l].length;
        for (int code = l; code < t * sizes.allHeads(); code += sizes.layers()) {
          if (at[code] != after[code]) {
            codes[count++] = code;
          }
        }
        falling[t][l] = Arrays.copyOf(codes, count);
        for (int code : falling[t][l]) {
          now += size(code, after[code]) - size(code, at[code]);
          at[code] = after[code];
        }
        for (int h = 0; h < sizes.heads(); h++) {
          int code = sizes.code(t, h, l);
          at[code] = after[code];
          now += size(code, at[code]);
        }
        live[t][l] = now;
      }
    }
  }

  private int size(int code, int level) {
    return granules[sizes.source(code)][level];
  }

  /**
   * Finds all places.
   *
   * @param tableLimit most bytes of tables of a group of layers, unless one layer takes more
   */
  LevelPlan plan(double budget, long tableLimit) {
    int peak = Arrays.stream(live).flatMapToInt(Arrays::stream).max().orElseThrow();
    free = new FreeRuns(peak);
    LevelStep[][] steps = new LevelStep[sizes.scales()][sizes.layers()];
    int[][] groups = new int[sizes.scales()][];
    Use use = new Use(0, 0, 0, 0, 0);
    long tables = 0;
    for (int t = 0; t < steps.length; t++) {
      int[] ends = new int[sizes.layers()];
      int count = 0;
      long group = 0;
      for (int l = 0; l < sizes.layers(); l++) {
        List<StoredAtom> reads = reads(t, l);
        boolean cached = t < live.length;
        List<Move> moves = cached ? moves(t, l) : List.of();
        List<StoredAtom> writes = cached ? writes(t, l) : List.of();
        steps[t][l] = new LevelStep(reads, moves, writes);
        if (cached && live[t][l] == peak && use.data() == 0) {
          use = use();
        }
        long own = steps[t][l].tableBytes(sizes.heads());
        if (l > 0 && group + own > tableLimit) {
          ends[count++] = l;
          group = 0;
        }
        group += own;
        tables = Math.max(tables, group);
      }
      ends[count++] = sizes.layers();
      groups[t] = Arrays.copyOf(ends, count);
    }
    return new LevelPlan(
        shape,
        budget,
        steps,
        live,
        groups,
        new Use(use.data(), use.numbers(), use.loss(), tables, meanRuns(steps[live.length])));
  }

  private static double meanRuns(LevelStep[] layers) {
    return Arrays.stream(layers)
        .flatMap(step -> step.reads().stream())
        .mapToInt(atom -> atom.runs().length / 2)
        .average()
        .orElse(0);
  }

  private List<StoredAtom> reads(int scale, int layer) {
    List<StoredAtom> reads = new ArrayList<>();
    for (int h = 0; h < sizes.heads(); h++) {
      for (int s = 0; s < scale; s++) {
        StoredAtom atom = stored[sizes.code(s, h, layer)];
        if (atom != null) {
          reads.add(atom);
        }
      }
    }
    return reads;
  }

  private List<Move> moves(int scale, int layer) {
    byte[] after = levels[scale + 1];
    for (int code : falling[scale][layer]) {
      free.give(from(code).runs());
      if (after[code] == 0) {
        stored[code] = null;
      }
    }
    // All were decoded before the first is written: the largest choose first, to be in few runs.
    int[] codes = falling[scale][layer];
    long[] order = new long[codes.length];
    int count = 0;
    for (int i = 0; i < codes.length; i++) {
      if (after[codes[i]] > 0) {
        order[count++] = -(long) size(codes[i], after[codes[i]]) << 32 | i;
      }
    }
    Arrays.sort(order, 0, count);
    List<Move> moves = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int code = codes[(int) order[i]];
      StoredAtom from = from(code);
      moves.add(new Move(from, take(code, after[code])));
    }
    return moves;
  }

  private StoredAtom from(int code) {
    StoredAtom atom = stored[code];
    if (atom == null) {
      throw new IllegalStateException(sizes.atom(code) + " isn't stored");
    }
    return atom;
  }

  private List<StoredAtom> writes(int scale, int layer) {
    List<StoredAtom> writes = new ArrayList<>();
    for (int h = 0; h < sizes.heads(); h++) {
      int code = sizes.code(scale, h, layer);
      if (levels[scale + 1][code] > 0) {
        writes.add(take(code, levels[scale + 1][code]));
      }
    }
    return writes;
  }

  private StoredAtom take(int code, int level) {
    StoredAtom atom =
        new StoredAtom(sizes.atom(code), Level.ALL.get(level - 1), free.take(size(code, level)));
    stored[code] = atom;
    return atom;
  }

  private Use use() {
    long data = 0;
    long numbers = 0;
    long all = 0;
    for (StoredAtom atom : stored) {
      if (atom != null) {
        Level level = atom.level();
        int entries = level.entries(shape.grids().size(atom.atom().source()));
        data += (long) entries * level.precision().entryGranules() * shape.granuleBytes();
        numbers += level.precision().numberBytes(entries, shape.headDim());
        all +=
            (long) level.granules(shape.grids().size(atom.atom().source()), shape.headDim())
                * shape.granuleBytes();
      }
    }
    return new Use(data, numbers, all - data - numbers, 0, 0);
  }
}
