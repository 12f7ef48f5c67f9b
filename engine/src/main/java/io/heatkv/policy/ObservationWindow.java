package io.heatkv.policy;

import io.heatkv.cache.Candidates;
import io.heatkv.scale.ScaleSize;
import java.util.stream.IntStream;

/** What the rules share that score tokens by a few queries of the scale, and keep these. */
final class ObservationWindow {
  /** Observed tokens: what ScaleKV takes, and its comparison with SnapKV and PyramidKV too. */
  static final int SIZE = 16;

  private static final int REACH = 2;

  private ObservationWindow() {}

  /** The last tokens of a map. */
  static int[] last(ScaleSize map) {
    return IntStream.range(Math.max(0, map.tokens() - SIZE), map.tokens()).toArray();
  }

  /**
   * Scores by attention, pooled along the sequence over two tokens on either side. Observed tokens
   * are pinned and lend nothing to their neighbours.
   *
   * @param window numbers of the observed tokens in the newest scale
   * @param max the maximum instead of the mean of five, beyond the ends zero
   */
  static double[] pooled(Candidates candidates, int[] window, boolean max) {
    int first = candidates.firstFrom(candidates.scale());
    boolean[] pinned = new boolean[candidates.count()];
    for (int token : window) {
      pinned[first + token] = true;
    }
    double[] scores = new double[candidates.count()];
    for (int i = 0; i < scores.length; i++) {
      double sum = 0;
      double most = 0;
      for (int j = Math.max(0, i - REACH); j <= Math.min(scores.length - 1, i + REACH); j++) {
        double attention = pinned[j] ? 0 : candidates.attention(j);
        sum += attention;
        most = Math.max(most, attention);
      }
      double score = max ? most : sum / (2 * REACH + 1);
      scores[i] = pinned[i] ? Double.POSITIVE_INFINITY : score;
    }
    return scores;
  }
}
