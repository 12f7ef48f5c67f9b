package io.heatkv.schedule;

import io.heatkv.error.UserException;
import java.util.Arrays;
import java.util.Locale;

/**
 * Spends a budget where each byte saves most, see {@link LevelList}: what a scale finds is the
 * longest head of the list, among its sources, that fits, then later steps that still fit where
 * their atom was as high before. So nothing ever grows.
 *
 * <p>While a scale is drawn, each layer's atoms go down after its attention and its own are
 * written; where that leaves the cache above the budget, atoms of later layers go down early, those
 * first that lose least for each granule.
 *
 * <p>Tables that say where atoms lie are shared by all rows, but are charged to one: so a plan
 * doesn't depend on the number of rows and holds for a single one. They depend on the plan, and it
 * on them: it is made again with more room for them until they fit.
 */
final class RateDistortion {
  private static final int PERCENT = 100;
  // Of an atom, rather too many: too few would mean to plan once more.
  private static final double USUAL_RUNS = 1.75;
  // Of a budget: too much to leave unused.
  private static final int SPARE_PART = 256;

  private final LevelShape shape;
  private final ScheduleShape sizes;
  private final LevelList list;
  private final double budget;
  // [target scale][atom]: place on its way
  private final byte[][] places;
  // [scale][layer]: atoms of later layers that go down early
  private final int[][][] early;

  private RateDistortion(LevelShape shape, LevelList list, double budget) {
    this.shape = shape;
    this.list = list;
    this.budget = budget;
    sizes = shape.sizes();
    places = new byte[sizes.scales()][(sizes.scales() - 1) * sizes.allHeads()];
    early = new int[sizes.scales() - 1][sizes.layers()][];
  }

  /**
   * Plans a budget.
   *
   * @param budget ratio of the full cache at 2 bytes a number; 1 keeps everything in 16 bits
   * @throws UserException if it is no ratio or infeasible
   */
  static LevelPlan plan(LevelShape shape, LevelCosts costs, LevelSet levels, double budget) {
    RemovedHeads.requireRatio(budget);
    if (budget == 1) {
      return LevelPlan.fixed(shape, Level.ALL.getFirst());
    }
    return new RateDistortion(shape, new LevelList(shape, costs, levels), budget).plan();
  }

  private LevelPlan plan() {
    // Rounding must not take the last byte of a budget in bytes.
    long bytes = (long) (budget * shape.rowBytes() * (1 + 0x1p-50));
    int least = 0;
    for (int code = 0; code < sizes.allHeads(); code++) {
      least += list.size(code, 0);
    }
    long tables = (long) sizes.allHeads() * LevelPlan.RUN_BYTES;
    requireFeasible(bytes, (long) least * shape.granuleBytes() + tables);
    configure((int) ((bytes - tables) / shape.granuleBytes()));
    tables = (long) (USUAL_RUNS * LevelPlan.RUN_BYTES * mostNamed());
    LevelPlan plan = place(least, bytes - tables);
    if (tables - plan.tableBytes() > bytes / SPARE_PART) {
      tables = plan.tableBytes();
      plan = place(least, bytes - tables);
    }
    while (plan.rowBytes() + plan.tableBytes() > bytes) {
      tables = Math.max(tables + 1, plan.tableBytes());
      plan = place(least, bytes - tables);
    }
    return plan;
  }

  private LevelPlan place(int least, long bytes) {
    configure((int) Math.max(least, bytes / shape.granuleBytes()));
    return new LevelPlacer(shape, levels(), early).plan(budget);
  }

  /** The most atoms that layers read, move and write at a scale. */
  private int mostNamed() {
    int most = 0;
    for (int t = 1; t < places.length; t++) {
      int named = 0;
      for (int code = 0; code < t * sizes.allHeads(); code++) {
        boolean isRead =
            code < (t - 1) * sizes.allHeads() && list.size(code, places[t - 1][code]) > 0;
        named += isRead ? 1 : 0;
        boolean isWritten = !isRead || places[t - 1][code] != places[t][code];
        named += isWritten && list.size(code, places[t][code]) > 0 ? 1 : 0;
      }
      most = Math.max(most, named);
    }
    return most;
  }

  private void requireFeasible(long bytes, long floor) {
    if (bytes < floor) {
      throw new UserException(
          String.format(
              Locale.ROOT,
              "budget %s is infeasible, something of the first scale always stays; expected at"
                  + " least %d bytes a picture, %.4f%% of the full cache",
              budget,
              floor * shape.rows(),
              PERCENT * Math.ceil(1e6 * floor / shape.rowBytes()) / 1e6));
    }
  }

  private void configure(int room) {
    // The first scale has no sources; the second's are as high as they fit.
    Arrays.fill(places[0], Byte.MAX_VALUE);
    for (int t = 1; t < sizes.scales(); t++) {
      fill(t, room);
      walk(t - 1, room);
    }
  }

  /** Decides what a scale finds. */
  private void fill(int target, int room) {
    int newest = (target - 1) * sizes.allHeads();
    int end = target * sizes.allHeads();
    byte[] before = places[target - 1];
    byte[] now = places[target];
    Arrays.fill(now, (byte) 0);
    int left = room;
    for (int code = 0; code < sizes.allHeads(); code++) {
      left -= list.size(code, 0);
    }
    for (int step = 0; step < list.steps(); step++) {
      int code = list.code(step);
      int place = list.place(step);
      if (code < end && now[code] == place - 1 && (code >= newest || place <= before[code])) {
        int more = list.granules(code, place);
        if (more <= left) {
          left -= more;
          now[code] = (byte) place;
        }
      }
    }
  }

  /** While a scale is written, atoms of later layers make room where it lacks. */
  private void walk(int scale, int room) {
    int newest = scale * sizes.allHeads();
    byte[] before = places[scale];
    byte[] after = places[scale + 1];
    long total = 0;
    // Granules by which each layer's atoms change after its attention.
    long[] change = new long[sizes.layers()];
    long[] leaving = new long[newest];
    int count = 0;
    for (int code = 0; code < newest; code++) {
      total += list.size(code, before[code]);
      int less = list.size(code, before[code]) - list.size(code, after[code]);
      if (less > 0) {
        change[sizes.layer(code)] -= less;
        double lost = list.cost(code, after[code]) - list.cost(code, before[code]);
        leaving[count++] =
            ((long) Float.floatToIntBits((float) (lost / less)) << Integer.SIZE) | code;
      }
    }
    for (int code = newest; code < newest + sizes.allHeads(); code++) {
      change[sizes.layer(code)] += list.size(code, after[code]);
    }
    Arrays.sort(leaving, 0, count);
    int next = 0;
    for (int l = 0; l < sizes.layers(); l++) {
      total += change[l];
      int[] moved = new int[total > room ? count - next : 0];
      int used = 0;
      for (; total > room; next++) {
        int code = (int) leaving[next];
        if (sizes.layer(code) > l) {
          int less = list.size(code, before[code]) - list.size(code, after[code]);
          total -= less;
          change[sizes.layer(code)] += less;
          moved[used++] = code;
        }
      }
      early[scale][l] = Arrays.copyOf(moved, used);
    }
  }

  /** Numbers of levels [target scale][atom]. */
  private byte[][] levels() {
    byte[][] levels = new byte[sizes.scales()][places[0].length];
    for (int t = 1; t < levels.length; t++) {
      for (int code = 0; code < t * sizes.allHeads(); code++) {
        levels[t][code] = (byte) list.level(code, places[t][code]);
      }
    }
    return levels;
  }
}
