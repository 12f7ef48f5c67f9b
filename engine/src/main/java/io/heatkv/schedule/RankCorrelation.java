package io.heatkv.schedule;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;

/**
 * How alike two measurements rank the same things: Spearman's correlation, 1 for the same order, -1
 * for the reverse; equal values share the mean of their ranks.
 *
 * @param overall of all values together; NaN if no group has an order
 * @param mean over groups that have an order
 * @param least of such groups
 */
public record RankCorrelation(double overall, double mean, double least) {
  /** Two measurements of the same things, in the same order. */
  record Pair(double[] one, double[] other) {
    private double correlation() {
      double[] x = ranks(one);
      double[] y = ranks(other);
      double middle = (x.length - 1) / 2.0;
      double xx = 0;
      double yy = 0;
      double xy = 0;
      for (int i = 0; i < x.length; i++) {
        xx += (x[i] - middle) * (x[i] - middle);
        yy += (y[i] - middle) * (y[i] - middle);
        xy += (x[i] - middle) * (y[i] - middle);
      }
      return xy / Math.sqrt(xx * yy);
    }
  }

  /** Groups without an order, whose values are all equal on a side, don't count. */
  static RankCorrelation of(List<Pair> groups) {
    List<Pair> ordered =
        groups.stream().filter(group -> !Double.isNaN(group.correlation())).toList();
    Pair all =
        new Pair(
            ordered.stream().flatMapToDouble(group -> Arrays.stream(group.one)).toArray(),
            ordered.stream().flatMapToDouble(group -> Arrays.stream(group.other)).toArray());
    double[] each = ordered.stream().mapToDouble(Pair::correlation).toArray();
    return new RankCorrelation(
        all.correlation(),
        DoubleStream.of(each).average().orElse(Double.NaN),
        DoubleStream.of(each).min().orElse(Double.NaN));
  }

  private static double[] ranks(double[] values) {
    int[] order =
        IntStream.range(0, values.length)
            .boxed()
            .sorted(Comparator.comparingDouble(i -> values[i]))
            .mapToInt(Integer::intValue)
            .toArray();
    double[] ranks = new double[values.length];
    for (int start = 0, end = 0; start < order.length; start = end) {
      while (end < order.length && values[order[end]] == values[order[start]]) {
        end++;
      }
      for (int i = start; i < end; i++) {
        ranks[order[i]] = (start + end - 1) / 2.0;
      }
    }
    return ranks;
  }
}
