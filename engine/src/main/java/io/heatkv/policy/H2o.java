package io.heatkv.policy;

import io.heatkv.cache.AttentionRule;
import io.heatkv.cache.ObservedCandidates;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Tensor;
import java.util.stream.IntStream;

/**
 * H2O (arXiv 2306.14048): half of the tokens are heavy hitters, to which most attention has been
 * paid in all, the other half the newest.
 *
 * <p>As in the paper, all queries of all steps count, so that the attention of every scale but the
 * last is computed a second time.
 */
final class H2o implements AttentionRule {
  @Override
  public int[] window(ScaleSize map) {
    return IntStream.range(0, map.tokens()).toArray();
  }

  @Override
  public boolean accumulates() {
    return true;
  }

  @Override
  public Tensor scores(ObservedCandidates candidates) {
    int newest = candidates.quota() / 2;
    Tensor sums = candidates.accumulated();
    return Ops.cat(
        2,
        sums.narrow(2, 0, candidates.count() - newest),
        Tensor.full(
            sums.backend(),
            Double.POSITIVE_INFINITY,
            sums.dtype(),
            sums.device(),
            sums.size(0),
            sums.size(1),
            newest));
  }
}
