package io.heatkv.server.core;

import io.heatkv.scale.ScaleGrids;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.function.IntPredicate;

/** Chooses the scales at which a picture is shown before it is done. */
final class PartialScales {
  /** Share of a picture's time that all its partial images may take together. */
  static final double SHARE = 0.15;

  private PartialScales() {}

  /**
   * Scales spread over all scales, coarser ones where those would take too long.
   *
   * @param count asked for
   * @param decodeShare share of a picture's time that decoding its last scale takes; others take as
   *     much less as they have fewer tokens
   * @param affordable whether there is memory to decode a scale
   */
  static SortedSet<Integer> choose(
      ScaleGrids grids, int count, double decodeShare, IntPredicate affordable) {
    int last = grids.count() - 1;
    int most = Math.min(count, last);
    TreeSet<Integer> chosen = new TreeSet<>();
    for (int i = 0; i < most; i++) {
      chosen.add((i + 1) * last / (most + 1));
    }
    while (!chosen.isEmpty()
        && (cost(grids, chosen) * decodeShare > SHARE || !affordable.test(chosen.last()))) {
      int coarser = chosen.removeLast() - 1;
      while (chosen.contains(coarser)) {
        coarser--;
      }
      if (coarser >= 0) {
        chosen.add(coarser);
      }
    }
    return chosen;
  }

  private static double cost(ScaleGrids grids, SortedSet<Integer> scales) {
    return scales.stream().mapToInt(grids::tokens).sum() / (double) grids.last().tokens();
  }
}
