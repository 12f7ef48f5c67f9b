package io.heatkv.schedule;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Where every atom lies in one arena of head-token slots that all layers and heads share.
 *
 * <p>At each scale and layer the layer attends first; then the atoms that the schedule drops there
 * are freed; then the heads that keep the scale write it into free slots. Slots of an atom need not
 * be contiguous, so nothing is lost to fragmentation, and the capacity is the schedule's peak. (If
 * the shape has scales that are neither sink nor removable, which the schedule doesn't count, they
 * come on top.) The last scale is never stored.
 */
public final class CachePlan {
  private static final int[] NOT_STORED = {};

  private final ScheduleShape shape;
  // [atom]: first scale that doesn't see it
  private final int[] goneFrom;
  // [atom]: start, length, start, length … ; empty if never stored
  private final int[][] runs;
  // [scale][layer]: head-tokens stored after the layer's writing
  private final int[][] live;
  private final int capacity;

  private CachePlan(PruningSchedule schedule) {
    shape = schedule.shape();
    int atoms = (shape.scales() - 1) * shape.allHeads();
    goneFrom = new int[atoms];
    Arrays.fill(goneFrom, shape.scales());
    runs = new int[atoms][];
    Arrays.fill(runs, NOT_STORED);
    int[][][] dropped = new int[shape.scales() - 1][shape.layers()][];
    boolean[] stored = new boolean[atoms];
    Arrays.fill(stored, true);
    for (int t = 0; t < shape.scales() - 1; t++) {
      drop(schedule, t, dropped[t], stored);
    }
    live = new int[shape.scales() - 1][shape.layers()];
    capacity = countLive(dropped, stored);
    place(dropped, stored);
  }

  /** Lays out the slots of a schedule. */
  public static CachePlan of(PruningSchedule schedule) {
    return new CachePlan(schedule);
  }

  /** Finds what each layer of a scale frees, who isn't stored at all, and from when unseen. */
  private void drop(PruningSchedule schedule, int scale, int[][] dropped, boolean[] stored) {
    List<List<Integer>> perLayer = new ArrayList<>();
    for (int l = 0; l < shape.layers(); l++) {
      perLayer.add(new ArrayList<>());
      for (int code : schedule.earlyCodes(scale, l)) {
        goneFrom[code] = scale;
        perLayer.get(l).add(code);
      }
    }
    for (int code : schedule.finalCodes(scale)) {
      if (goneFrom[code] == shape.scales()) {
        goneFrom[code] = scale + 1;
        if (shape.source(code) == scale) {
          stored[code] = false;
        } else {
          perLayer.get(shape.layer(code)).add(code);
        }
      }
    }
    for (int l = 0; l < shape.layers(); l++) {
      dropped[l] = perLayer.get(l).stream().mapToInt(Integer::intValue).toArray();
    }
  }

  private int countLive(int[][][] dropped, boolean[] stored) {
    int now = 0;
    int most = 0;
    for (int t = 0; t < live.length; t++) {
      for (int l = 0; l < shape.layers(); l++) {
        for (int code : dropped[t][l]) {
          now -= shape.tokens(shape.source(code));
        }
        for (int h = 0; h < shape.heads(); h++) {
          now += stored[shape.code(t, h, l)] ? shape.tokens(t) : 0;
        }
        live[t][l] = now;
        most = Math.max(most, now);
      }
    }
    return most;
  }

  private void place(int[][][] dropped, boolean[] stored) {
    FreeRuns free = new FreeRuns(capacity);
    for (int t = 0; t < live.length; t++) {
      for (int l = 0; l < shape.layers(); l++) {
        for (int code : dropped[t][l]) {
          free.give(runs[code]);
        }
        for (int h = 0; h < shape.heads(); h++) {
          int code = shape.code(t, h, l);
          if (stored[code]) {
            runs[code] = free.take(shape.tokens(t));
          }
        }
      }
    }
  }

  public ScheduleShape shape() {
    return shape;
  }

  /** Slots of the arena: the largest number of head-tokens stored at a time. */
  public int capacity() {
    return capacity;
  }

  /** Whether nothing is ever removed, so that this is the full cache. */
  public boolean keepsEverything() {
    return Arrays.stream(goneFrom).allMatch(scale -> scale == shape.scales());
  }

  /** Head-tokens stored after a layer has written a scale other than the last. */
  public int live(int scale, int layer) {
    return live[scale][layer];
  }

  /** Slots of an atom as start, length, start, length …; empty if it is never stored. */
  public int[] runs(Atom atom) {
    return runs[shape.code(atom.source(), atom.head(), atom.layer())].clone();
  }

  /** Whether a scale's attention reads an atom. */
  public boolean isVisible(Atom atom, int scale) {
    return isVisible(shape.code(atom.source(), atom.head(), atom.layer()), scale);
  }

  private boolean isVisible(int code, int scale) {
    return shape.source(code) < scale && scale < goneFrom[code];
  }

  /** The slots that a layer reads and writes at a scale; made anew at every call. */
  public CacheStep step(int scale, int layer) {
    int[] lengths = new int[shape.heads()];
    for (int h = 0; h < shape.heads(); h++) {
      for (int s = 0; s < scale; s++) {
        lengths[h] += isVisible(shape.code(s, h, layer), scale) ? shape.tokens(s) : 0;
      }
    }
    int[] reads = new int[Arrays.stream(lengths).sum()];
    int next = 0;
    for (int h = 0; h < shape.heads(); h++) {
      for (int s = 0; s < scale; s++) {
        int code = shape.code(s, h, layer);
        if (isVisible(code, scale)) {
          next = expand(runs[code], reads, next);
        }
      }
    }
    int[] written = writtenHeads(scale, layer);
    int[] writes = new int[scale == live.length ? 0 : written.length * shape.tokens(scale)];
    next = 0;
    for (int head : written) {
      next = expand(runs[shape.code(scale, head, layer)], writes, next);
    }
    return new CacheStep(reads, lengths, written, writes);
  }

  /** How many slots read, heads written and slots written all steps name together. */
  public long stepNumbers() {
    long numbers = 0;
    for (int code = 0; code < runs.length; code++) {
      if (runs[code].length > 0) {
        int source = shape.source(code);
        numbers += (long) shape.tokens(source) * (goneFrom[code] - source) + 1;
      }
    }
    return numbers;
  }

  private int[] writtenHeads(int scale, int layer) {
    int[] heads = new int[shape.heads()];
    int count = 0;
    for (int h = 0; scale < live.length && h < heads.length; h++) {
      if (runs[shape.code(scale, h, layer)].length > 0) {
        heads[count++] = h;
      }
    }
    return Arrays.copyOf(heads, count);
  }

  private static int expand(int[] runs, int[] slots, int next) {
    for (int i = 0; i < runs.length; i += 2) {
      for (int slot = runs[i]; slot < runs[i] + runs[i + 1]; slot++) {
        slots[next++] = slot;
      }
    }
    return next;
  }
}
