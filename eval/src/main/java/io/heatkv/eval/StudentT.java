package io.heatkv.eval;

/** Student's t distribution with whole degrees of freedom. */
final class StudentT {
  private static final double LEVEL = 0.95;

  private StudentT() {}

  /**
   * Probability of {@code |T| <= t}: the finite series of Abramowitz and Stegun, "Handbook of
   * Mathematical Functions", 26.7.3 and 26.7.4.
   */
  static double within(double t, int freedom) {
    double angle = Math.atan(t / Math.sqrt(freedom));
    double square = Math.cos(angle) * Math.cos(angle);
    boolean odd = freedom % 2 == 1;
    double term = odd ? Math.cos(angle) : 1;
    double sum = 0;
    for (int i = odd ? 1 : 0; i <= freedom - 2; i += 2) {
      sum += term;
      term *= square * (i + 1) / (i + 2);
    }
    double series = Math.sin(angle) * sum;
    return odd ? 2 / Math.PI * (angle + series) : series;
  }

  /** The t that 95 % of the distribution lie within on either side of 0. */
  static double quantile95(int freedom) {
    double low = 0;
    // 12.7 with one degree of freedom, less with more.
    double high = 13;
    // Halved until no double lies between.
    for (double mid = 6.5; mid > low && mid < high; mid = (low + high) / 2) {
      if (within(mid, freedom) < LEVEL) {
        low = mid;
      } else {
        high = mid;
      }
    }
    return high;
  }
}
