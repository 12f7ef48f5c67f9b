package io.heatkv.policy;

import io.heatkv.cache.AttentionRule;
import io.heatkv.cache.KvShape;
import io.heatkv.cache.ObservedCandidates;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.schedule.AttentionStatistics;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * HACK (arXiv 2504.09261): contextual heads, whose queries all look at the same few tokens, keep
 * little; structural heads, which look at the neighbourhood of each query, keep much.
 *
 * <ul>
 *   <li>Which heads: by the column variance of the calibration's last scale, the lower half of all
 *       heads of all layers is contextual (the paper's alpha, which it tunes by hand).
 *   <li>How much: alpha B_C + (1 - alpha) B_S = B with B_C = B_S / 4; the paper says only that B_C
 *       is far less. What structural heads can't fill goes to contextual ones.
 *   <li>Which tokens: 32 queries evenly spaced over the scale are observed. Contextual heads keep
 *       what gets most of their softmax attention. Structural heads keep the first two scales, the
 *       newest scale and then what gets most attention; where the newest scale doesn't fit, its
 *       most attended tokens.
 * </ul>
 *
 * <p>The paper also merges what contextual heads drop before the last scale into what they keep.
 * That is left out: entries here are the model's own keys and values.
 */
final class Hack implements AttentionRule {
  private static final double CONTEXTUAL = 0.5;
  private static final double RATIO = 4;
  private static final int QUERIES = 32;
  private static final int INITIAL_SCALES = 2;
  // Above any attention that 32 queries can pay.
  private static final double NEWEST = 1e3;

  // [layer][head]
  private final boolean[][] structural;
  private final double part;
  private final int cachedTokens;

  private Hack(boolean[][] structural, double part, int cachedTokens) {
    this.structural = structural;
    this.part = part;
    this.cachedTokens = cachedTokens;
  }

  static Hack of(PolicyInputs inputs) {
    return of(inputs.profile().get().statistics(), inputs.shape());
  }

  static Hack of(AttentionStatistics statistics, KvShape shape) {
    record Head(int layer, int head, double variance) {}
    List<Head> heads = new ArrayList<>();
    for (int l = 0; l < shape.layers(); l++) {
      for (int h = 0; h < shape.heads(); h++) {
        heads.add(new Head(l, h, statistics.variance(l, h)));
      }
    }
    heads.sort(Comparator.comparingDouble(Head::variance));
    boolean[][] structural = new boolean[shape.layers()][shape.heads()];
    int contextual = (int) Math.round(CONTEXTUAL * heads.size());
    for (Head head : heads.subList(contextual, heads.size())) {
      structural[head.layer()][head.head()] = true;
    }
    double part = (heads.size() - contextual) / (double) heads.size();
    return new Hack(structural, part, shape.grids().cachedTokens());
  }

  @Override
  public int least(ScaleGrids grids) {
    return initial(grids) + 1;
  }

  private static int initial(ScaleGrids grids) {
    return grids.offset(Math.min(INITIAL_SCALES, grids.count() - 1));
  }

  @Override
  public double tokens(int scale, int layer, int head, double mean) {
    double wanted = mean * RATIO / (part * RATIO + 1 - part);
    return UnequalShares.of(structural[layer][head], mean, wanted, part, cachedTokens);
  }

  @Override
  public int[] window(ScaleSize map) {
    int count = Math.min(QUERIES, map.tokens());
    return IntStream.range(0, count).map(i -> (int) ((long) i * map.tokens() / count)).toArray();
  }

  @Override
  public int kind(int layer, int head) {
    return structural[layer][head] ? 1 : 0;
  }

  @Override
  public Tensor scores(ObservedCandidates candidates) {
    if (!structural[candidates.layer()][candidates.heads().getFirst()]) {
      return candidates.attention();
    }
    // In float64, where the sum with a large number keeps the order.
    Tensor attention = candidates.attention().to(DType.F64);
    int tokens = candidates.grids().tokens(candidates.scale());
    int before = candidates.count() - tokens;
    Tensor scores =
        Ops.cat(2, attention.narrow(2, 0, before), attention.narrow(2, before, tokens).add(NEWEST));
    Tensor initial = number(initial(candidates.grids()), DType.I32, scores);
    Tensor pinned = number(Double.POSITIVE_INFINITY, DType.F64, scores);
    return Ops.where(Ops.less(candidates.tokens(), initial), pinned, scores);
  }

  private static Tensor number(double value, DType dtype, Tensor like) {
    return Tensor.full(like.backend(), value, dtype, like.device(), 1);
  }
}
