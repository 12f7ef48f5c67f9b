package io.heatkv.cache;

import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.Tensor;

/**
 * A rule that looks at the attention that tokens get: each row of the batch keeps its own. Scores
 * are tensors, of all rows at once, and stay on the device; reading them there would stall it.
 */
public non-sealed interface AttentionRule extends EvictionRule {
  /**
   * Tokens of a scale whose queries are observed, ascending: {@link ObservedCandidates#attention}
   * is the attention that they pay. None: attention is 0.
   */
  int[] window(ScaleSize map);

  /** Whether {@link ObservedCandidates#accumulated} is used, for which every scale is observed. */
  default boolean accumulates() {
    return false;
  }

  /** Heads of a layer of different kinds are asked for apart. */
  default int kind(int layer, int head) {
    return 0;
  }

  /**
   * How much heads want to keep each candidate. Infinity pins a token. What is made belongs to the
   * caller's scope.
   *
   * @return floating point [rows, heads, candidates]
   */
  Tensor scores(ObservedCandidates candidates);
}
