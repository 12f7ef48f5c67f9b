package io.heatkv.policy;

import io.heatkv.cache.AttentionRule;
import io.heatkv.cache.ObservedCandidates;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.Tensor;

/**
 * SnapKV (arXiv 2404.14469): the tokens to which the last queries attend most, and the tokens of
 * these queries.
 *
 * <p>The paper compresses a prompt once, at its end. Here every scale is an end: its last 16 tokens
 * are the observation window, the softmax attention of their queries is summed for each candidate
 * and pooled by the mean of five neighbours (the default of the official code), in each head and
 * row for itself.
 */
final class SnapKv implements AttentionRule {
  @Override
  public int least(ScaleGrids grids) {
    return ObservationWindow.SIZE;
  }

  @Override
  public int[] window(ScaleSize map) {
    return ObservationWindow.last(map);
  }

  @Override
  public Tensor scores(ObservedCandidates candidates) {
    return ObservationWindow.meanPooled(candidates);
  }
}
