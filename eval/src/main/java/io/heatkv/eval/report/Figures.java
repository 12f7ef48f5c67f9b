package io.heatkv.eval.report;

import io.heatkv.eval.Interval;
import io.heatkv.eval.run.MetricInfo;

/** Numbers with their intervals. */
final class Figures {
  private Figures() {}

  /** Such as {@code 21.40 dB (21.10 to 21.70)}. */
  static String withInterval(MetricInfo metric, Interval interval) {
    String unit = metric.unit().isEmpty() ? "" : " " + metric.unit();
    String mean = number(metric, interval.mean()) + unit;
    return interval.isBounded()
        ? "%s (%s to %s)"
            .formatted(mean, number(metric, interval.low()), number(metric, interval.high()))
        : mean + " (no interval: a single prompt)";
  }

  /** A table cell: the mean, and behind it half of the interval's width. */
  static String html(MetricInfo metric, Interval interval) {
    return interval.isBounded()
        ? "%s<span class=\"pm\"> ± %s</span>"
            .formatted(
                number(metric, interval.mean()),
                number(metric, (interval.high() - interval.low()) / 2))
        : number(metric, interval.mean());
  }

  /** Small numbers keep digits that say something. */
  static String number(MetricInfo metric, double value) {
    return Html.number(value, metric.decimals());
  }
}
