package io.heatkv.policy;

/** Tokens of two groups of heads, one favoured, that keep a mean. */
final class UnequalShares {
  private UnequalShares() {}

  /**
   * Tokens of a head where the favoured want a number of them and the others get what is left. What
   * the favoured want beyond a limit goes to the others.
   *
   * @param mean over all heads
   * @param wanted tokens of each favoured head
   * @param favoured part of the heads that is favoured, from 0 to 1
   * @param limit tokens that there are
   */
  static double of(boolean isFavoured, double mean, double wanted, double favoured, double limit) {
    if (favoured <= 0 || favoured >= 1 || mean >= limit) {
      return mean;
    }
    double got = Math.min(wanted, limit);
    return isFavoured ? got : (mean - favoured * got) / (1 - favoured);
  }
}
