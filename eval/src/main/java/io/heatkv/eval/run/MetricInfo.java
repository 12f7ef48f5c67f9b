package io.heatkv.eval.run;

import java.util.List;
import java.util.Locale;

/**
 * What a metric is.
 *
 * @param id column of the tables, such as {@code psnr}
 * @param title for people, such as {@code PSNR}
 * @param unit behind numbers, possibly empty
 * @param direction which numbers are better
 * @param most largest possible number; infinite if there is none
 * @param decimals that are shown
 * @param note one sentence on how it is computed
 */
public record MetricInfo(
    String id,
    String title,
    String unit,
    Direction direction,
    double most,
    int decimals,
    String note) {
  /** Which numbers are better. */
  public enum Direction {
    HIGHER,
    LOWER
  }

  /** Whether {@code a} is at least as good as {@code b}. */
  public boolean atLeastAsGood(double a, double b) {
    return direction == Direction.HIGHER ? a >= b : a <= b;
  }

  /** Title of a metric that may not have been measured. */
  public static String titleOf(List<MetricInfo> measured, String id) {
    return measured.stream()
        .filter(metric -> metric.id().equals(id))
        .map(MetricInfo::title)
        .findFirst()
        .orElse(id.toUpperCase(Locale.ROOT));
  }
}
