package io.heatkv.schedule;

import java.util.Arrays;

/**
 * Builds a schedule from one list of all atoms, most wanted first: when a scale has ended, the
 * cache holds the longest head of the list, among the scales drawn so far, that fits.
 *
 * <p>The list doesn't depend on scale or budget, so what is dropped never was to come back, and a
 * larger budget keeps all that a smaller one keeps.
 */
final class PrefixBuilder {
  private final ScheduleShape shape;
  // atoms of the removable scales, most wanted first
  private final int[] wanted;
  private final double budget;
  private final double threshold;
  // [atom]
  private final boolean[] kept;

  PrefixBuilder(ScheduleShape shape, int[] wanted, double budget) {
    RemovedHeads.requireFeasible(shape, budget);
    this.shape = shape;
    this.wanted = wanted;
    this.budget = budget;
    threshold = RemovedHeads.threshold(shape, budget);
    kept = new boolean[(shape.scales() - 1) * shape.allHeads()];
  }

  PruningSchedule build() {
    int cached = shape.scales() - 1;
    int[] removedHeads = new int[shape.scales()];
    int[][] ended = new int[cached][];
    int[][][] early = new int[cached][shape.layers()][];
    long[][] totals = new long[cached][shape.layers()];
    for (int t = 0; t < cached; t++) {
      int scale = t;
      boolean[] before = kept.clone();
      keep(t);
      ended[t] =
          Arrays.stream(wanted)
              .filter(code -> shape.source(code) <= scale && !kept[code])
              .sorted()
              .toArray();
      walk(t, before, early[t], totals[t]);
      removedHeads[t + 1] = mostOfOneSource(ended[t]);
    }
    return new PruningSchedule(shape, budget, removedHeads, ended, early, totals);
  }

  /** Decides what stays when a scale has ended. */
  private void keep(int scale) {
    long total = sinkTokens(scale);
    Arrays.fill(kept, false);
    for (int code : wanted) {
      if (shape.source(code) <= scale) {
        total += shape.tokens(shape.source(code));
        if (total > threshold) {
          return;
        }
        kept[code] = true;
      }
    }
  }

  /** While a scale is written, the least wanted atoms of later layers make room where it lacks. */
  private void walk(int scale, boolean[] before, int[][] early, long[] totals) {
    long total = sinkTokens(scale);
    int[] leaving = new int[wanted.length];
    int count = 0;
    // Tokens of each layer that are freed after its attention, and that are written then.
    long[] freed = new long[shape.layers()];
    long[] written = new long[shape.layers()];
    for (int i = wanted.length - 1; i >= 0; i--) {
      int code = wanted[i];
      int tokens = shape.tokens(shape.source(code));
      if (before[code]) {
        total += tokens;
        if (!kept[code]) {
          leaving[count++] = code;
          freed[shape.layer(code)] += tokens;
        }
      } else if (kept[code]) {
        written[shape.layer(code)] += tokens;
      }
    }
    int next = 0;
    for (int l = 0; l < shape.layers(); l++) {
      total += written[l] - freed[l];
      int[] activated = new int[count - next];
      int used = 0;
      for (; total > threshold; next++) {
        int code = leaving[next];
        if (shape.layer(code) > l) {
          total -= shape.tokens(shape.source(code));
          freed[shape.layer(code)] -= shape.tokens(shape.source(code));
          activated[used++] = code;
        }
      }
      early[l] = Arrays.copyOf(activated, used);
      totals[l] = total;
    }
  }

  private long sinkTokens(int scale) {
    return shape.allHeads() * shape.tokensBefore(Math.min(shape.sinkScales(), scale));
  }

  private int mostOfOneSource(int[] removed) {
    int[] counts = new int[shape.scales()];
    for (int code : removed) {
      counts[shape.source(code)]++;
    }
    return Arrays.stream(counts).max().orElseThrow();
  }
}
