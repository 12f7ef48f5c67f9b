package io.heatkv.cache;

/**
 * A rule that looks at where tokens lie, and at no attention: all rows keep the same, which is
 * planned before the first scale.
 */
@FunctionalInterface
public non-sealed interface PositionRule extends EvictionRule {
  /**
   * How much a head wants to keep each candidate. Infinity pins a token. Called by several threads
   * at once, so it must change nothing.
   *
   * @return one score for each candidate
   */
  double[] scores(Candidates candidates);
}
