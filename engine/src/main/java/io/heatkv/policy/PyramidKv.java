package io.heatkv.policy;

import io.heatkv.cache.AttentionRule;
import io.heatkv.cache.KvShape;
import io.heatkv.cache.ObservedCandidates;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.Tensor;

/**
 * PyramidKV (arXiv 2406.02069): SnapKV's choice, but lower layers keep more than higher ones, since
 * attention narrows from layer to layer.
 *
 * <p>Budgets beyond the observation window fall linearly from the first layer to the last, whose
 * share is 1/20 of the mean (beta of the official code). Where the first layer's would exceed the
 * whole cache it is cut and the slope flattens, so that the mean stays, also as in that code.
 */
final class PyramidKv implements AttentionRule {
  private static final double BETA = 20;

  private final SnapKv choice = new SnapKv();
  private final int layers;
  private final int cachedTokens;

  private PyramidKv(int layers, int cachedTokens) {
    this.layers = layers;
    this.cachedTokens = cachedTokens;
  }

  /** Shares out the layers of a model. */
  static PyramidKv of(KvShape shape) {
    return new PyramidKv(shape.layers(), shape.grids().cachedTokens());
  }

  @Override
  public int least(ScaleGrids grids) {
    return choice.least(grids);
  }

  @Override
  public double tokens(int scale, int layer, int head, double mean) {
    if (layers == 1) {
      return mean;
    }
    double share = mean - ObservationWindow.SIZE;
    double last = share / BETA;
    double first = 2 * share - last;
    double most = cachedTokens - ObservationWindow.SIZE;
    if (first > most) {
      first = most;
      last = 2 * share - most;
    }
    return ObservationWindow.SIZE + first - layer * (first - last) / (layers - 1);
  }

  @Override
  public int[] window(ScaleSize map) {
    return choice.window(map);
  }

  @Override
  public Tensor scores(ObservedCandidates candidates) {
    return choice.scores(candidates);
  }
}
