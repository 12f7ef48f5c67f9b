package io.heatkv.policy;

import io.heatkv.cache.Candidates;
import io.heatkv.cache.PositionRule;

/**
 * A control without a paper: every head keeps a uniformly random sample of all tokens seen.
 *
 * <p>Each (layer, head, token) has a fixed random rank and the highest stay, so that at every scale
 * what is kept is a uniform sample of everything seen so far. Runs repeat; rows are alike.
 */
final class RandomEviction implements PositionRule {
  @Override
  public double[] scores(Candidates candidates) {
    long head = mixed(((long) candidates.layer() << 32) + candidates.head() + 1);
    double[] scores = new double[candidates.count()];
    for (int i = 0; i < scores.length; i++) {
      scores[i] = mixed(head + candidates.token(i)) >>> 11;
    }
    return scores;
  }

  /** The finaliser of SplitMix64. */
  private static long mixed(long value) {
    long z = value * 0x9E3779B97F4A7C15L;
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }
}
