package io.heatkv.eval;

import java.util.ArrayList;
import java.util.List;

/**
 * Share of symbols (bits, or entries of a codebook) that two drawings have in common. Each run
 * draws its later scales from its own earlier ones, so that a difference spreads as it does in use.
 *
 * @param scales share of each scale, from 0 to 1
 * @param overall share of all symbols of all scales
 */
public record TokenAgreement(List<Double> scales, double overall) {
  public TokenAgreement {
    scales = List.copyOf(scales);
  }

  /**
   * Compares scale by scale.
   *
   * @param a symbols of each scale, in any order that both share
   * @throws IllegalArgumentException if there are none or their numbers differ
   */
  public static TokenAgreement of(List<int[]> a, List<int[]> b) {
    if (a.isEmpty() || a.size() != b.size()) {
      throw new IllegalArgumentException(
          "symbols of " + a.size() + " and " + b.size() + " scales can't be compared");
    }
    List<Double> scales = new ArrayList<>();
    long equal = 0;
    long all = 0;
    for (int t = 0; t < a.size(); t++) {
      long same = equal(a.get(t), b.get(t));
      scales.add(same / (double) a.get(t).length);
      equal += same;
      all += a.get(t).length;
    }
    return new TokenAgreement(scales, equal / (double) all);
  }

  private static long equal(int[] a, int[] b) {
    if (a.length == 0 || a.length != b.length) {
      throw new IllegalArgumentException(
          a.length + " and " + b.length + " symbols of a scale can't be compared");
    }
    long same = 0;
    for (int i = 0; i < a.length; i++) {
      same += a[i] == b[i] ? 1 : 0;
    }
    return same;
  }
}
