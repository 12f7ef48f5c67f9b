package io.heatkv.schedule;

import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;

/** The free slots of an arena as runs; a run is a start and a length. */
final class FreeRuns {
  private final TreeMap<Integer, Integer> lengths = new TreeMap<>();
  // The same runs as (length << 32 | start), so that the best fit is found.
  private final TreeSet<Long> bySize = new TreeSet<>();

  FreeRuns(int capacity) {
    if (capacity > 0) {
      add(0, capacity);
    }
  }

  /**
   * Takes slots: the smallest run that holds them all, else the largest runs.
   *
   * @return start, length, start, length …
   */
  int[] take(int count) {
    int[] runs = new int[2];
    int used = 0;
    for (int left = count; left > 0; ) {
      Long fit = bySize.ceiling((long) left << 32);
      long run = fit == null ? bySize.last() : fit;
      int start = (int) run;
      int length = (int) (run >>> 32);
      remove(start, length);
      int taken = Math.min(left, length);
      if (taken < length) {
        add(start + taken, length - taken);
      }
      runs = used == runs.length ? Arrays.copyOf(runs, 2 * used) : runs;
      runs[used++] = start;
      runs[used++] = taken;
      left -= taken;
    }
    return Arrays.copyOf(runs, used);
  }

  /** Gives runs back; neighbours grow together. */
  void give(int[] runs) {
    for (int i = 0; i < runs.length; i += 2) {
      int start = runs[i];
      int end = start + runs[i + 1];
      Map.Entry<Integer, Integer> before = lengths.lowerEntry(start);
      if (before != null && before.getKey() + before.getValue() == start) {
        remove(before.getKey(), before.getValue());
        start = before.getKey();
      }
      Integer after = lengths.get(end);
      if (after != null) {
        remove(end, after);
        end += after;
      }
      add(start, end - start);
    }
  }

  private void add(int start, int length) {
    lengths.put(start, length);
    bySize.add((long) length << 32 | start);
  }

  private void remove(int start, int length) {
    lengths.remove(start);
    bySize.remove((long) length << 32 | start);
  }
}
