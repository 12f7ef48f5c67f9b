package io.heatkv.policy;

import io.heatkv.cache.Candidates;
import io.heatkv.cache.PositionRule;
import io.heatkv.scale.ScaleGrids;

/**
 * StreamingLLM (arXiv 2309.17453): the first tokens, which draw attention as sinks, and the newest
 * ones.
 *
 * <p>The paper keeps four sinks of a text. Here they are the tokens of the first two scales (1 and
 * 4), so that no scale is cut. Keys keep the positions at which they were made: positions of an
 * image mean places, so the paper's renumbering within the cache doesn't apply.
 */
final class StreamingLlm implements PositionRule {
  private static final int SINK_SCALES = 2;

  @Override
  public int least(ScaleGrids grids) {
    return sinks(grids) + 1;
  }

  private static int sinks(ScaleGrids grids) {
    return grids.offset(Math.min(SINK_SCALES, grids.count() - 1));
  }

  @Override
  public double[] scores(Candidates candidates) {
    int sinks = sinks(candidates.grids());
    double[] scores = new double[candidates.count()];
    for (int i = 0; i < scores.length; i++) {
      int token = candidates.token(i);
      scores[i] = token < sinks ? Double.POSITIVE_INFINITY : token;
    }
    return scores;
  }
}
