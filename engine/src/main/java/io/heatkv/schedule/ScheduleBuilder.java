package io.heatkv.schedule;

import java.util.Arrays;

/** Finds the atoms that go early: one pass over scales, layers and the atoms that each loses. */
final class ScheduleBuilder {
  private final ScheduleShape shape;
  private final HeadOrders orders;
  private final double budget;
  private final double threshold;
  private final int[] removedHeads;
  // Atoms of earlier scales that the current scale loses, layer by layer: pending[start[l]] to
  // pending[start[l + 1] - 1], in the order in which a layer gives them up early.
  private final int[] start;
  private int[] pending = {};

  ScheduleBuilder(ScheduleShape shape, HeadOrders orders, double budget) {
    this.shape = shape;
    this.orders = orders;
    this.budget = budget;
    removedHeads = RemovedHeads.forBudget(shape, budget);
    threshold = RemovedHeads.threshold(shape, budget);
    start = new int[shape.layers() + 1];
  }

  PruningSchedule build() {
    int[][] ended = new int[shape.scales() - 1][];
    int[][][] early = new int[shape.scales() - 1][shape.layers()][];
    long[][] totals = new long[shape.scales() - 1][shape.layers()];
    for (int t = 0; t < shape.scales() - 1; t++) {
      ended[t] = removedAfter(t);
      walk(t, early[t], totals[t]);
    }
    return new PruningSchedule(shape, budget, removedHeads, ended, early, totals);
  }

  /** The first atoms of each source's order, sorted. */
  private int[] removedAfter(int scale) {
    int count = removedHeads[scale + 1];
    int last = Math.min(shape.lastSource(), scale);
    int[] codes = new int[count * Math.max(0, last - shape.firstSource() + 1)];
    int next = 0;
    for (int s = shape.firstSource(); s <= last; s++) {
      for (int rank = 0; rank < count; rank++) {
        codes[next++] = orders.code(s, rank);
      }
    }
    Arrays.sort(codes);
    return codes;
  }

  private void walk(int scale, int[][] early, long[] totals) {
    collectPending(scale);
    int[] own = ownKept(scale);
    long total = totalBefore(scale);
    int lastLayer = shape.layers() - 1;
    // Layers above 'giving' have nothing left; 'giving' has given up to 'next'.
    int giving = lastLayer;
    int next = start[giving];
    for (int l = 0; l <= lastLayer; l++) {
      total += (long) own[l] * shape.tokens(scale);
      if (l <= giving) {
        total -= tokens(l == giving ? next : start[l], start[l + 1]);
      }
      int count = 0;
      int[] activated = new int[total > threshold ? start[lastLayer + 1] - start[l + 1] : 0];
      while (total > threshold && giving > l) {
        if (next == start[giving + 1]) {
          giving--;
          next = start[giving];
        } else {
          total -= shape.tokens(shape.source(pending[next]));
          activated[count++] = pending[next++];
        }
      }
      if (total > threshold) {
        throw new IllegalStateException("the removed heads of scale " + scale + " are too few");
      }
      early[l] = Arrays.copyOf(activated, count);
      totals[l] = total;
    }
  }

  /** Sorts by layer; within a layer late sources go first, then the order's rank counts. */
  private void collectPending(int scale) {
    int from = removedHeads[scale];
    int to = removedHeads[scale + 1];
    int last = Math.min(shape.lastSource(), scale - 1);
    Arrays.fill(start, 0);
    for (int s = shape.firstSource(); s <= last; s++) {
      for (int rank = from; rank < to; rank++) {
        start[shape.layer(orders.code(s, rank)) + 1]++;
      }
    }
    for (int l = 0; l < shape.layers(); l++) {
      start[l + 1] += start[l];
    }
    pending = new int[start[shape.layers()]];
    int[] at = start.clone();
    for (int s = last; s >= shape.firstSource(); s--) {
      for (int rank = from; rank < to; rank++) {
        int code = orders.code(s, rank);
        pending[at[shape.layer(code)]++] = code;
      }
    }
  }

  /** Heads of each layer that keep the scale itself; none of a scale that isn't counted. */
  private int[] ownKept(int scale) {
    int[] kept = new int[shape.layers()];
    if (shape.isRemovable(scale)) {
      Arrays.fill(kept, shape.heads());
      for (int rank = 0; rank < removedHeads[scale + 1]; rank++) {
        kept[shape.layer(orders.code(scale, rank))]--;
      }
    }
    return kept;
  }

  private long totalBefore(int scale) {
    long total = shape.allHeads() * shape.tokensBefore(Math.min(shape.sinkScales(), scale));
    for (int s = shape.firstSource(); s <= Math.min(shape.lastSource(), scale - 1); s++) {
      total += (shape.allHeads() - removedHeads[scale]) * (long) shape.tokens(s);
    }
    return total;
  }

  private long tokens(int from, int to) {
    long tokens = 0;
    for (int i = from; i < to; i++) {
      tokens += shape.tokens(shape.source(pending[i]));
    }
    return tokens;
  }
}
