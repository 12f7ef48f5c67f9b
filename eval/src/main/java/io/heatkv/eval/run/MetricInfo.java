package io.heatkv.eval.run;

/**
 * What a metric is.
 *
 * @param id column of the tables, such as {@code psnr}
 * @param title for people, such as {@code PSNR}
 * @param unit behind numbers, possibly empty
 * @param direction which numbers are better
 * @param decimals that are shown
 * @param note one sentence on how it is computed
 */
public record MetricInfo(
    String id, String title, String unit, Direction direction, int decimals, String note) {
  /** Which numbers are better. */
  public enum Direction {
    HIGHER,
    LOWER
  }

  /** Whether {@code a} is at least as good as {@code b}. */
  public boolean atLeastAsGood(double a, double b) {
    return direction == Direction.HIGHER ? a >= b : a <= b;
  }
}
