package io.heatkv.eval;

import java.util.ArrayList;
import java.util.List;

/**
 * Share of bits that two drawings have in common. Each run draws its later scales from its own
 * earlier ones, so that a difference spreads as it does in use.
 *
 * @param scales share of each scale, from 0 to 1
 * @param overall share of all bits of all scales
 */
public record BitAgreement(List<Double> scales, double overall) {
  public BitAgreement {
    scales = List.copyOf(scales);
  }

  /**
   * Compares scale by scale.
   *
   * @param a bits of each scale, one a byte, in any order that both share
   * @throws IllegalArgumentException if there are none or their numbers differ
   */
  public static BitAgreement of(List<byte[]> a, List<byte[]> b) {
    if (a.isEmpty() || a.size() != b.size()) {
      throw new IllegalArgumentException(
          "bits of " + a.size() + " and " + b.size() + " scales can't be compared");
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
    return new BitAgreement(scales, equal / (double) all);
  }

  private static long equal(byte[] a, byte[] b) {
    if (a.length == 0 || a.length != b.length) {
      throw new IllegalArgumentException(
          a.length + " and " + b.length + " bits of a scale can't be compared");
    }
    long same = 0;
    for (int i = 0; i < a.length; i++) {
      same += a[i] == b[i] ? 1 : 0;
    }
    return same;
  }
}
