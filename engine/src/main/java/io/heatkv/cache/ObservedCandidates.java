package io.heatkv.cache;

import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Tensor;
import java.util.List;

/**
 * What heads of a layer could keep after a scale, in all rows: the tokens kept so far and all of
 * the scale. These heads have equally many, and keep equally many.
 *
 * @param scale the scale just attended to
 * @param heads numbers of the heads, ascending, all of one {@link AttentionRule#kind}
 * @param quota how many candidates of a head stay
 * @param tokens numbers of the tokens over all scales, ascending; those of the scale are the last;
 *     int32 [rows, heads, candidates]
 * @param attention sum over the observed queries of the softmax probabilities, float32, same shape
 * @param accumulated the same, summed over this scale and those before since the token is there, if
 *     the rule {@link AttentionRule#accumulates}; else attention
 * @param isObserved which candidates are the observed tokens, bool [candidates]
 */
public record ObservedCandidates(
    ScaleGrids grids,
    int scale,
    int layer,
    List<Integer> heads,
    int quota,
    Tensor tokens,
    Tensor attention,
    Tensor accumulated,
    Tensor isObserved) {
  /** Number of a head's candidates. */
  public int count() {
    return Math.toIntExact(attention.size(2));
  }
}
