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
 * doesn't depend on the number of rows and holds for a single one. At most 3 % of the budget are
 * set aside for them, and they are brought to a device for as many layers at a time as fit there.
 * Where one layer's are more, which takes a small model and a small budget, less is stored.
 */
final class RateDistortion {
  private static final int PERCENT = 100;
  // Of an atom, rather too many: too few would mean to plan once more.
  private static final double USUAL_RUNS = 1.75;
  // Of a budget: too much to leave unused.
  private static final int SPARE_PART = 256;
  // Tables of so few bytes may be more than their share: it would be in vain to refuse such a
  // model.
  private static final int SMALL_TABLES = 2048;

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
    long leastTables = leastTables();
    long most = Math.max(shape.tableLimit(budget), SMALL_TABLES);
    requireFeasible(bytes, (long) least * shape.granuleBytes(), leastTables);
    configure(room(bytes - leastTables));
    long spare = bytes - (long) least * shape.granuleBytes();
    long limit = Math.max(leastTables, shape.tableLimit(budget));
    long tables = Math.clamp(usualTables(), leastTables, Math.min(limit, spare));
    int room = room(bytes - tables);
    LevelPlan plan = place(room, tables);
    if (tables - plan.tableBytes() > bytes / SPARE_PART) {
      tables = plan.tableBytes() + bytes / SPARE_PART / 2;
      room = room(bytes - tables);
      plan = place(room, tables);
    }
    // One layer's tables are more than was set aside.
    while (plan.tableBytes() > tables) {
      int left = room(bytes - plan.tableBytes());
      if (plan.tableBytes() <= most && left >= least) {
        tables = plan.tableBytes();
        room = Math.min(room, left);
      } else {
        room = least + (int) ((room - least) * 15L / 16);
      }
      plan = place(room, tables);
    }
    return plan;
  }

  private int room(long bytes) {
    return (int) (bytes / shape.granuleBytes());
  }

  private LevelPlan place(int room, long tables) {
    configure(room);
    return new LevelPlacer(shape, levels(), early).plan(budget, tables);
  }

  /** Of a layer that writes the first scale: each head's atom in one run. */
  private long leastTables() {
    return Integer.BYTES * (9L * sizes.heads() + 5);
  }

  /** The most that tables of all layers usually take at a scale. */
  private long usualTables() {
    long most = 0;
    for (int t = 1; t < places.length; t++) {
      int named = 0;
      int stored = 0;
      for (int code = 0; code < t * sizes.allHeads(); code++) {
        boolean isRead =
            code < (t - 1) * sizes.allHeads() && list.size(code, places[t - 1][code]) > 0;
        boolean isStored =
            list.size(code, places[t][code]) > 0
                && !(isRead && places[t - 1][code] == places[t][code]);
        named += (isRead ? 1 : 0) + (isRead && isStored ? 1 : 0) + (isStored ? 1 : 0);
        stored += isStored ? 1 : 0;
      }
      double numbers = stored + (3 + 2 * USUAL_RUNS) * named;
      most = Math.max(most, (long) numbers + sizes.layers() * (3L * sizes.heads() + 5));
    }
    return Integer.BYTES * most;
  }

  /**
   * @param least that is always stored, and its tables, which aren't many times their share
   */
  private void requireFeasible(long bytes, long least, long tables) {
    long floor = least + tables;
    if (tables > SMALL_TABLES) {
      floor = Math.max(floor, LevelShape.tableBudget(tables));
    }
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
