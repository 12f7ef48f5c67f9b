package io.heatkv.policy;

import io.heatkv.cache.Candidates;
import io.heatkv.cache.KvShape;
import io.heatkv.cache.PositionRule;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.AttentionStatistics;
import java.util.stream.IntStream;

/**
 * AMS-KV (arXiv 2511.16047): the coarsest scales (condensed) and the newest (local) stay, scales
 * between them go first; layers whose keys change much from scale to scale keep more.
 *
 * <ul>
 *   <li>Which layers: cache-demanding are those whose distance between the keys of neighbouring
 *       scales, measured by the calibration, is above the mean over layers. The paper compares it
 *       with a threshold that it sets by hand.
 *   <li>How much: cache-demanding layers twice as much as the others. The paper gives capacities
 *       C_max and C_min by hand.
 *   <li>Which tokens: the first two scales, as in the paper, then whole scales from the newest on.
 *       Of the scale that doesn't fit, evenly spaced tokens; the paper has only whole scales, which
 *       a small budget can't hold.
 * </ul>
 */
final class AmsKv implements PositionRule {
  private static final int CONDENSED_SCALES = 2;
  private static final double RATIO = 2;

  // [layer]
  private final boolean[] demanding;
  private final double part;
  private final int cachedTokens;

  private AmsKv(boolean[] demanding, double part, int cachedTokens) {
    this.demanding = demanding;
    this.part = part;
    this.cachedTokens = cachedTokens;
  }

  static AmsKv of(PolicyInputs inputs) {
    return of(inputs.profile().get().statistics(), inputs.shape());
  }

  static AmsKv of(AttentionStatistics statistics, KvShape shape) {
    int layers = shape.layers();
    double mean =
        IntStream.range(0, layers).mapToDouble(statistics::distance).average().orElseThrow();
    boolean[] demanding = new boolean[layers];
    int count = 0;
    for (int l = 0; l < layers; l++) {
      demanding[l] = statistics.distance(l) > mean;
      count += demanding[l] ? 1 : 0;
    }
    return new AmsKv(demanding, count / (double) layers, shape.grids().cachedTokens());
  }

  @Override
  public int least(ScaleGrids grids) {
    return condensed(grids) + 1;
  }

  private static int condensed(ScaleGrids grids) {
    return grids.offset(Math.min(CONDENSED_SCALES, grids.count() - 1));
  }

  @Override
  public double tokens(int scale, int layer, int head, double mean) {
    double wanted = mean * RATIO / (part * RATIO + 1 - part);
    return UnequalShares.of(demanding[layer], mean, wanted, part, cachedTokens);
  }

  @Override
  public double[] scores(Candidates candidates) {
    double[] scores = new double[candidates.count()];
    int condensed = condensed(candidates.grids());
    int left = candidates.quota();
    for (int i = 0; i < scores.length && candidates.token(i) < condensed; i++) {
      scores[i] = Double.POSITIVE_INFINITY;
      left--;
    }
    int end = scores.length;
    for (int source = candidates.scale(); source >= CONDENSED_SCALES && left > 0; source--) {
      int start = candidates.firstFrom(source);
      int count = end - start;
      int taken = Math.min(count, left);
      for (int i = 0; i < taken; i++) {
        scores[start + (int) ((long) i * count / taken)] = 1;
      }
      left -= taken;
      end = start;
    }
    return scores;
  }
}
