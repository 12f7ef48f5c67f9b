package io.heatkv.cache;

import io.heatkv.scale.ScaleGrids;

/**
 * A policy that drops single tokens: says how many tokens each head keeps and which.
 *
 * <p>After a layer has attended at a scale, each of its heads has candidates: the tokens that it
 * kept before and all tokens of the scale. It keeps those of the highest scores, of equal ones the
 * later. A token that was dropped never comes back. Scores depend on where tokens lie ({@link
 * PositionRule}) or on attention that they get ({@link AttentionRule}); nothing is asked where all
 * candidates stay. {@link EvictionPolicy} makes a rule a {@link CachePolicy}, with memory,
 * attention and budget.
 */
public sealed interface EvictionRule permits PositionRule, AttentionRule {
  /** Tokens that a head needs at least: the floor of the budget. */
  default int least(ScaleGrids grids) {
    return 1;
  }

  /**
   * Tokens that a head would keep after a scale if there were room for {@code mean} tokens in a
   * head on average. The largest mean is taken with which the live tokens of all layers, after each
   * layer of each scale, fit into the budget. Where {@code mean} is all cached tokens, all must be
   * kept.
   *
   * @param scale the scale just attended to, never the last
   * @param mean from {@link #least} to the tokens of all scales but the last
   */
  default double tokens(int scale, int layer, int head, double mean) {
    return mean;
  }
}
