package io.heatkv.policy;

import io.heatkv.cache.ObservedCandidates;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Pooling;
import io.heatkv.tensor.Tensor;
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
   * Scores by attention, as the mean of a token and two on either side along the sequence, beyond
   * the ends zero. Observed tokens are pinned and lend nothing to their neighbours.
   */
  static Tensor meanPooled(ObservedCandidates candidates) {
    // Sums of float32 numbers in float64, so that few scores are equal.
    return pinned(candidates, Pooling.mean(lent(candidates).to(DType.F64), REACH));
  }

  /** The same with the maximum. */
  static Tensor maxPooled(ObservedCandidates candidates) {
    return pinned(candidates, Pooling.max(lent(candidates), REACH));
  }

  private static Tensor lent(ObservedCandidates candidates) {
    Tensor attention = candidates.attention();
    return Ops.where(candidates.isObserved(), number(0, attention), attention);
  }

  private static Tensor pinned(ObservedCandidates candidates, Tensor scores) {
    return Ops.where(candidates.isObserved(), number(Double.POSITIVE_INFINITY, scores), scores);
  }

  private static Tensor number(double value, Tensor like) {
    return Tensor.full(like.backend(), value, like.dtype(), like.device(), 1);
  }
}
