package io.heatkv.policy;

import io.heatkv.cache.Candidates;
import io.heatkv.cache.EvictionRule;
import io.heatkv.scale.ScaleSize;
import java.util.stream.IntStream;

/**
 * H2O (arXiv 2306.14048): half of the tokens are heavy hitters, to which most attention has been
 * paid in all, the other half the newest.
 *
 * <p>As in the paper, all queries of all steps count, so that the attention of every scale but the
 * last is computed a second time, by blocks of queries.
 */
final class H2o implements EvictionRule {
  @Override
  public int[] window(ScaleSize map) {
    return IntStream.range(0, map.tokens()).toArray();
  }

  @Override
  public double[] scores(Candidates candidates) {
    int newest = candidates.count() - candidates.quota() / 2;
    double[] scores = new double[candidates.count()];
    for (int i = 0; i < scores.length; i++) {
      scores[i] = i < newest ? candidates.accumulated(i) : Double.POSITIVE_INFINITY;
    }
    return scores;
  }
}
