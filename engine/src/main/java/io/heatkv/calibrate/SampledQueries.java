package io.heatkv.calibrate;

import io.heatkv.cache.KvShape;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * Queries of some tokens of each scale, kept until the last scale is drawn: then a layer's keys are
 * all there, and few large operators measure what every scale attends to.
 *
 * <p>The tokens lie one in each of equally long runs, at the fractions of multiples of the golden
 * ratio: equal distances would meet the same columns of the map in every row.
 */
final class SampledQueries {
  private static final double GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;

  private final int firstScale;
  private final int[] ends;
  private final List<Tensor> tokens = new ArrayList<>();
  private final List<List<Tensor>> kept = new ArrayList<>();
  private final Scope storage;

  /**
   * @param firstScale scales before are not sampled
   * @param most tokens of a scale
   * @param storage owns what is kept
   */
  SampledQueries(
      Backend backend, Device device, KvShape shape, int firstScale, int most, Scope storage) {
    this.firstScale = firstScale;
    this.storage = storage;
    ends = new int[shape.grids().count()];
    int end = 0;
    try (Scope _ = Scope.open()) {
      for (int scale = firstScale; scale < ends.length; scale++) {
        long[] chosen = spread(shape.grids().tokens(scale), most);
        end += chosen.length;
        ends[scale] = end;
        tokens.add(storage.adopt(Tensor.of(backend, chosen, chosen.length).to(device)));
      }
    }
    for (int layer = 0; layer < shape.layers(); layer++) {
      kept.add(new ArrayList<>());
    }
  }

  /** Ascending and distinct. */
  static long[] spread(int tokens, int most) {
    long[] chosen = new long[Math.min(most, tokens)];
    for (int i = 0; i < chosen.length; i++) {
      int start = Math.toIntExact((long) i * tokens / chosen.length);
      int end = Math.toIntExact((i + 1L) * tokens / chosen.length);
      chosen[i] = start + (long) (i * GOLDEN_RATIO % 1 * (end - start));
    }
    return chosen;
  }

  /** Keeps queries of a layer [heads, tokens, head_dim]; scales come one after another. */
  void add(int layer, int scale, Tensor q) {
    if (scale >= firstScale) {
      Tensor chosen = tokens.get(scale - firstScale);
      // All tokens of a small scale need no copy.
      boolean isAll = chosen.count() == q.size(1);
      Tensor queries = isAll ? q.narrow(1, 0, q.size(1)) : Ops.indexSelect(q, 1, chosen);
      kept.get(layer).add(storage.adopt(queries));
    }
  }

  /** Where a scale's queries begin among those of all scales. */
  int start(int scale) {
    return scale == 0 ? 0 : ends[scale - 1];
  }

  /** Number of a scale's queries. */
  int count(int scale) {
    return ends[scale] - start(scale);
  }

  /** Queries of all scales of layers from {@code first} on [layers, heads, queries, head_dim]. */
  Tensor of(int first, long layers) {
    return Ops.stack(
        0,
        kept.subList(first, Math.toIntExact(first + layers)).stream()
            .map(scales -> Ops.cat(1, scales))
            .toArray(Tensor[]::new));
  }
}
