package io.heatkv.cache;

import io.heatkv.error.UserException;
import io.heatkv.scale.ScaleGrids;
import java.util.Locale;

/** How many tokens each head of each layer keeps after each scale but the last. */
final class Quotas {
  // [scale][layer][head]
  private final int[][][] counts;
  private final long peak;

  private Quotas(EvictionRule rule, KvShape shape, double mean) {
    ScaleGrids grids = shape.grids();
    int least = rule.least(grids);
    counts = new int[grids.count() - 1][shape.layers()][shape.heads()];
    long live = 0;
    long most = 0;
    for (int t = 0; t < counts.length; t++) {
      for (int l = 0; l < shape.layers(); l++) {
        for (int h = 0; h < shape.heads(); h++) {
          int before = t == 0 ? 0 : counts[t - 1][l][h];
          double wanted = Math.max(least, Math.floor(rule.tokens(t, l, h, mean)));
          counts[t][l][h] = (int) Math.min(before + grids.tokens(t), wanted);
          live += counts[t][l][h] - before;
        }
        most = Math.max(most, live);
      }
    }
    peak = most;
  }

  /**
   * Shares a capacity out: as much as fits at every moment.
   *
   * @param name of the policy, for messages
   * @param type how they are stored, for messages
   * @param capacity head-tokens of all layers
   * @throws UserException if not even the least that the rule needs fits
   */
  static Quotas fit(String name, EvictionRule rule, KvShape shape, KvStorage type, long capacity) {
    double low = rule.least(shape.grids());
    Quotas best = new Quotas(rule, shape, low);
    if (best.peak > capacity) {
      throw belowFloor(name, rule, shape, type, capacity, best.peak);
    }
    double high = shape.grids().cachedTokens();
    Quotas most = new Quotas(rule, shape, high);
    if (most.peak <= capacity) {
      return most;
    }
    // Bisection to the last bit: what is taken always fits, what is refused never does.
    for (double mean = (low + high) / 2; mean > low && mean < high; mean = (low + high) / 2) {
      Quotas quotas = new Quotas(rule, shape, mean);
      if (quotas.peak <= capacity) {
        low = mean;
        best = quotas;
      } else {
        high = mean;
      }
    }
    return best;
  }

  private static UserException belowFloor(
      String name, EvictionRule rule, KvShape shape, KvStorage type, long capacity, long floor) {
    double all = type.fullBytes(shape) / (double) type.bytesPerHeadToken(shape);
    // Rounded up, so that the ratio shown is enough.
    double ratio = Math.ceil(1e6 * floor / all) / 1e6;
    return new UserException(
        String.format(
            Locale.ROOT,
            "the KV budget of %.6f of the full cache is below the floor of policy %s, %.6f (%d"
                + " bytes: %d tokens in each head); raise the budget or choose another policy",
            capacity / all,
            name,
            ratio,
            floor * type.bytesPerHeadToken(shape),
            rule.least(shape.grids())));
  }

  /** Head-tokens of the full cache. */
  static long allTokens(KvShape shape) {
    return (long) shape.layers() * shape.heads() * shape.grids().cachedTokens();
  }

  /** Tokens that a head keeps after a scale. */
  int count(int scale, int layer, int head) {
    return counts[scale][layer][head];
  }

  /** Most head-tokens live after any layer of any scale. */
  long peak() {
    return peak;
  }
}
