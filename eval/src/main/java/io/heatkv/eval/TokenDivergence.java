package io.heatkv.eval;

import io.heatkv.scale.ScaleGrids;
import java.util.ArrayList;
import java.util.List;

/**
 * Kullback-Leibler divergence of one picture's tokens under another cache from those under the full
 * cache, in nats for a bit or another symbol; see {@link TeacherForcing}.
 *
 * @param scales mean over the symbols of each scale
 * @param overall mean over all symbols of all scales
 */
public record TokenDivergence(List<Double> scales, double overall) {
  public TokenDivergence {
    scales = List.copyOf(scales);
  }

  /** Weighs each scale by its tokens, since all tokens have as many symbols. */
  static TokenDivergence of(List<Double> scales, ScaleGrids grids) {
    double sum = 0;
    for (int t = 0; t < scales.size(); t++) {
      sum += scales.get(t) * grids.tokens(t);
    }
    return new TokenDivergence(scales, sum / grids.totalTokens());
  }

  /**
   * Means over pictures of equal grids.
   *
   * @throws IllegalArgumentException if there are none or they have other numbers of scales
   */
  public static TokenDivergence mean(List<TokenDivergence> pictures) {
    if (pictures.stream().mapToInt(p -> p.scales.size()).distinct().count() != 1) {
      throw new IllegalArgumentException("pictures of equal grids expected");
    }
    List<Double> means = new ArrayList<>();
    for (int t = 0; t < pictures.getFirst().scales.size(); t++) {
      int scale = t;
      means.add(pictures.stream().mapToDouble(p -> p.scales.get(scale)).average().orElseThrow());
    }
    return new TokenDivergence(
        means, pictures.stream().mapToDouble(TokenDivergence::overall).average().orElseThrow());
  }
}
