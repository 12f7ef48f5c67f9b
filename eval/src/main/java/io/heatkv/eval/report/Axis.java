package io.heatkv.eval.report;

import java.util.ArrayList;
import java.util.List;

/**
 * Maps numbers to positions along an axis.
 *
 * @param low least number that is shown
 * @param high largest
 * @param logarithmic whether equal factors are equally far apart
 * @param ticks numbers with a label
 */
record Axis(double low, double high, boolean logarithmic, List<Double> ticks) {
  private static final int MOST_TICKS = 6;

  Axis {
    ticks = List.copyOf(ticks);
  }

  /** From 0 at the least number to 1 at the largest. */
  double part(double value) {
    return logarithmic
        ? (Math.log(value) - Math.log(low)) / (Math.log(high) - Math.log(low))
        : (value - low) / (high - low);
  }

  /** An axis with round ticks around values; those of different orders get a logarithmic one. */
  static Axis around(List<Double> values, boolean logarithmic) {
    double least = values.stream().mapToDouble(v -> v).min().orElse(0);
    double most = values.stream().mapToDouble(v -> v).max().orElse(1);
    return logarithmic && least > 0 ? decades(least, most) : linear(least, most);
  }

  private static Axis linear(double least, double most) {
    double span = most > least ? most - least : Math.max(1e-9, Math.abs(most));
    double step = Math.pow(10, Math.floor(Math.log10(span / MOST_TICKS)));
    for (double factor : new double[] {2, 2.5, 2}) {
      if (span / step > MOST_TICKS) {
        step *= factor;
      }
    }
    double low = Math.floor(least / step);
    double high = Math.ceil(most / step);
    if (low == high) {
      high++;
    }
    List<Double> ticks = new ArrayList<>();
    for (double i = low; i <= high; i++) {
      ticks.add(i * step);
    }
    return new Axis(low * step, high * step, false, ticks);
  }

  private static Axis decades(double least, double most) {
    double low = least / 1.3;
    double high = most * 1.3;
    List<Double> ticks = new ArrayList<>();
    boolean few = high / low < 100;
    for (int exponent = (int) Math.floor(Math.log10(low)); Math.pow(10, exponent) <= high; ) {
      for (double factor : few ? new double[] {1, 2, 5} : new double[] {1}) {
        double tick = factor * Math.pow(10, exponent);
        if (tick >= low && tick <= high) {
          ticks.add(tick);
        }
      }
      exponent++;
    }
    return new Axis(low, high, true, ticks);
  }

  /** The axis of budgets: a tick for each that was tried, with some room at both ends. */
  static Axis budgets(List<Double> ratios) {
    List<Double> sorted = ratios.stream().distinct().sorted().toList();
    double room = Math.pow(Math.max(1.5, sorted.getLast() / sorted.getFirst()), 0.08);
    return new Axis(sorted.getFirst() / room, sorted.getLast() * room, true, sorted);
  }
}
