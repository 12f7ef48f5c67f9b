package io.heatkv.schedule;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Every atom's way up from dropped, and all steps of all atoms in one list, those first that save
 * most cost for each granule.
 *
 * <p>A way is the lower convex hull of (granules, cost), without levels that could not be made from
 * the one above: nothing that was pooled becomes finer again. Later steps of a way save less for
 * each granule than earlier ones, so that they come later in the list. The first scale's ways begin
 * at its smallest level, since something of it always stays. The list doesn't depend on scale or
 * budget.
 */
final class LevelList {
  private static final int INDEX_BITS = 5;
  private static final long LOW = 0xffff_ffffL;

  private final ScheduleShape sizes;
  // [source][level]
  private final int[][] granules;
  // [atom][place on its way]: numbers of levels, and their costs
  private final int[][] ways;
  private final double[][] costs;
  // atom << INDEX_BITS | place on its way
  private final int[] order;

  LevelList(LevelShape shape, LevelCosts measured, LevelSet levels) {
    sizes = shape.sizes();
    granules = shape.granules();
    int atoms = granules.length * sizes.allHeads();
    ways = new int[atoms][];
    costs = new double[atoms][];
    // Steps by falling slope; those of the same slope, up to rounding to float, by atom and place.
    long[] keys = new long[atoms * Level.ALL.size()];
    int steps = 0;
    for (int s = 0; s < granules.length; s++) {
      int[] allowed = allowed(shape, levels, s);
      for (int h = 0; h < sizes.heads(); h++) {
        for (int l = 0; l < sizes.layers(); l++) {
          int code = sizes.code(s, h, l);
          double[] cost = weighed(measured, s, h, l);
          ways[code] = way(s, allowed, cost);
          costs[code] = Arrays.stream(ways[code]).mapToDouble(level -> cost[level]).toArray();
          for (int i = 1; i < ways[code].length; i++) {
            float slope = (float) ((costs[code][i - 1] - costs[code][i]) / granules(code, i));
            long rank = -(long) Float.floatToIntBits(slope) << Integer.SIZE;
            keys[steps++] = rank | (((code << INDEX_BITS) | i) & LOW);
          }
        }
      }
    }
    Arrays.sort(keys, 0, steps);
    order = IntStream.range(0, steps).map(i -> (int) keys[i]).toArray();
  }

  /** Those of a set that differ for a source's map: larger blocks than the map are the map. */
  private static int[] allowed(LevelShape shape, LevelSet levels, int source) {
    return levels.levels().stream()
        .filter(level ->
            level.pool() == 1
                || level.entries(shape.grids().size(source))
                    < new Level(level.pool() / 2, level.precision())
                        .entries(shape.grids().size(source)))
        .mapToInt(level -> 1 + Level.ALL.indexOf(level))
        .toArray();
  }

  private double[] weighed(LevelCosts measured, int source, int head, int layer) {
    double weight = CostSums.weight(sizes.layers(), layer);
    double[] cost = new double[LevelCosts.LEVELS];
    for (int i = 0; i < cost.length; i++) {
      cost[i] = measured.cost(source, layer, head, i) * weight;
    }
    return cost;
  }

  private int[] way(int source, int[] allowed, double[] cost) {
    int[] size = granules[source];
    int at = source > 0 ? 0 : smallest(allowed, size, cost);
    List<Integer> way = new ArrayList<>();
    while (at >= 0) {
      way.add(at);
      int best = -1;
      double most = 0;
      for (int level : allowed) {
        double saved = cost[at] - cost[level];
        int more = size[level] - size[at];
        if (saved > 0 && more > 0 && isFinerOrAs(level, at)) {
          double slope = saved / more;
          if (slope > most || (slope == most && size[level] > size[best])) {
            best = level;
            most = slope;
          }
        }
      }
      at = best;
    }
    return way.stream().mapToInt(Integer::intValue).toArray();
  }

  private static int smallest(int[] allowed, int[] size, double[] cost) {
    int best = allowed[0];
    for (int level : allowed) {
      if (size[level] < size[best] || (size[level] == size[best] && cost[level] < cost[best])) {
        best = level;
      }
    }
    return best;
  }

  private static boolean isFinerOrAs(int level, int other) {
    return other == 0 || Level.ALL.get(level - 1).pool() <= Level.ALL.get(other - 1).pool();
  }

  /** Steps of the list. */
  int steps() {
    return order.length;
  }

  /** Atom of a step of the list. */
  int code(int step) {
    return order[step] >>> INDEX_BITS;
  }

  /** Place on its atom's way to which a step of the list goes. */
  int place(int step) {
    return order[step] & ((1 << INDEX_BITS) - 1);
  }

  /** Granules that a step to a place takes more than the place before; of place 0, all. */
  int granules(int code, int place) {
    return size(code, place) - (place == 0 ? 0 : size(code, place - 1));
  }

  /** Granules of an atom at a place on its way. */
  int size(int code, int place) {
    return granules[sizes.source(code)][level(code, place)];
  }

  /** Number of the level at a place on an atom's way. */
  int level(int code, int place) {
    return ways[code][place];
  }

  double cost(int code, int place) {
    return costs[code][place];
  }
}
