package io.heatkv.verify;

/**
 * One comparison.
 *
 * @param name what was compared
 * @param largestError largest absolute difference; NaN if something was not a number
 * @param tolerance that it may reach
 * @param differing how many of the values that must be equal are not
 * @param compared how many values were compared
 */
public record Check(
    String name, double largestError, double tolerance, long differing, long compared) {
  /** Whether all values agree. */
  public boolean passed() {
    return largestError <= tolerance && differing == 0 && compared > 0;
  }

  Check prefixed(String prefix) {
    return new Check(prefix + name, largestError, tolerance, differing, compared);
  }
}
