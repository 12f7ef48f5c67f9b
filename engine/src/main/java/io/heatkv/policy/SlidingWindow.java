package io.heatkv.policy;

import io.heatkv.cache.Candidates;
import io.heatkv.cache.PositionRule;

/**
 * Sliding-window attention (Longformer, arXiv 2004.05150): every head keeps the newest tokens, in
 * the order of scales and rows.
 */
final class SlidingWindow implements PositionRule {
  @Override
  public double[] scores(Candidates candidates) {
    double[] scores = new double[candidates.count()];
    for (int i = 0; i < scores.length; i++) {
      scores[i] = candidates.token(i);
    }
    return scores;
  }
}
