package io.heatkv.schedule;

import io.heatkv.error.UserException;

/** How much the cache may hold: a ratio of the full cache, or bytes. */
public sealed interface Budget {
  /** The ratio of the full cache that this budget allows, from 0 to 1. */
  double ratio(long fullBytes);

  /**
   * A ratio of the full cache.
   *
   * @param value from 0 to 1
   */
  record Ratio(double value) implements Budget {
    /**
     * @throws UserException if it is not from 0 to 1
     */
    public Ratio {
      if (!(value >= 0 && value <= 1)) {
        throw new UserException(
            "budget " + value + " is out of range; expected a ratio of the full cache from 0 to 1");
      }
    }

    @Override
    public double ratio(long fullBytes) {
      return value;
    }
  }

  /**
   * Bytes of keys and values; more than the full cache is as good as all of it.
   *
   * @param count 0 or more
   */
  record Bytes(long count) implements Budget {
    /**
     * @throws UserException if it is negative
     */
    public Bytes {
      if (count < 0) {
        throw new UserException("budget of " + count + " bytes is negative; expected 0 or more");
      }
    }

    /**
     * @param fullBytes of the full cache: all layers, heads and scales but the last
     */
    @Override
    public double ratio(long fullBytes) {
      return Math.min(1, count / (double) fullBytes);
    }
  }

  /**
   * Reads {@code 0.1}, {@code 10%} or {@code 256MiB} (B, KB, MB, GB, TB, KiB, MiB, GiB, TiB).
   *
   * @throws UserException if it is none of them or out of range
   */
  static Budget parse(String text) {
    return BudgetParser.parse(text);
  }
}
