package io.heatkv.tensor.libtorch;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * How long intervals cover time, each moment counted once: a kernel may be launched before the one
 * before it ends.
 */
final class CoveredTime {
  private record Interval(long start, long end) {}

  private final List<Interval> intervals = new ArrayList<>();

  synchronized void add(long start, long end) {
    intervals.add(new Interval(start, end));
  }

  /** Of all intervals since the last call. */
  synchronized long take() {
    intervals.sort(Comparator.comparingLong(Interval::start));
    long covered = 0;
    long reached = Long.MIN_VALUE;
    for (Interval interval : intervals) {
      if (interval.end > reached) {
        covered += interval.end - Math.max(interval.start, reached);
        reached = interval.end;
      }
    }
    intervals.clear();
    return covered;
  }
}
