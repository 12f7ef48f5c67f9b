package io.heatkv.policy;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.TestDevice;
import io.heatkv.cache.AttentionRule;
import io.heatkv.cache.EvictionPolicy;
import io.heatkv.cache.KvCache;
import io.heatkv.cache.KvShape;
import io.heatkv.cache.KvStorage;
import io.heatkv.cache.PolicyCases;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Scope;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Rules that look at attention, beside float64 loops over one head of one row. */
class ObservedChoicesTest {
  private static final Backend BACKEND = TestDevice.backend();
  private static final List<String> GRIDS =
      List.of("1x1,2x2,3x3,4x4,5x5,6x6", "1x2,2x4,4x6,5x8,6x10", "2x2,3x5,6x7,17x18,18x18");
  private static final int SINKS = 2;

  /** A head of a row: tokens held, ascending, and the attention that each has got. */
  private static final class Head {
    private List<Integer> tokens = List.of();
    private final double[] sums;

    Head(int tokens) {
      sums = new double[tokens];
    }
  }

  private static AttentionRule rule(String name, KvShape shape, CalibrationProfile profile) {
    return switch (name) {
      case "snapkv" -> new SnapKv();
      case "pyramidkv" -> PyramidKv.of(shape);
      case "h2o" -> new H2o();
      case "hack" -> Hack.of(profile.statistics(), shape);
      default -> ScaleKv.of(profile.statistics(), shape.layers(), shape.grids());
    };
  }

  @ParameterizedTest
  @ValueSource(strings = {"snapkv", "pyramidkv", "h2o", "scalekv", "hack"})
  void chooseAsOneHeadOfOneRowDoes(String name) {
    chooseAsOneHeadOfOneRowDoes(name, DType.F32, 8);
  }

  /** Devices have kernels of their own for them. */
  @ParameterizedTest
  @ValueSource(strings = {"snapkv", "pyramidkv", "h2o", "scalekv", "hack"})
  void chooseTheSameInHalfPrecision(String name) {
    chooseAsOneHeadOfOneRowDoes(name, DType.BF16, 32);
  }

  private static void chooseAsOneHeadOfOneRowDoes(String name, DType dtype, int dim) {
    long live = BACKEND.liveTensors();
    for (long seed = 1; seed <= 9; seed++) {
      Random random = new Random(seed);
      ScaleGrids grids = ScaleGrids.parse(GRIDS.get((int) (seed % GRIDS.size())));
      int pictureRows = 1 + random.nextInt(2);
      KvShape shape =
          new KvShape(
              2,
              pictureRows * (1 + random.nextInt(2)),
              pictureRows,
              1 + random.nextInt(4),
              dim,
              dtype,
              grids);
      double budget = 0.35 + 0.6 * random.nextDouble();
      CalibrationProfile profile = PolicyCases.profile(shape, seed);
      AttentionRule rule = rule(name, shape, profile);
      try (KvCache cache =
          PolicyCases.open(new EvictionPolicy(name, rule, budget, KvStorage.NATIVE), shape)) {
        draw(name, rule, profile, shape, budget, cache, random);
      }
    }
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
  }

  private static void draw(
      String name,
      AttentionRule rule,
      CalibrationProfile profile,
      KvShape shape,
      double budget,
      KvCache cache,
      Random random) {
    ScaleGrids grids = shape.grids();
    // [layer][row * heads + head], and their keys [layer][scale]
    Head[][] held = new Head[shape.layers()][shape.batch() * shape.heads()];
    float[][][] keys = new float[shape.layers()][grids.count()][];
    for (Head[] layer : held) {
      Arrays.setAll(layer, _ -> new Head(grids.cachedTokens()));
    }
    for (int t = 0; t < grids.count() - 1; t++) {
      int tokens = grids.tokens(t);
      for (int l = 0; l < shape.layers(); l++) {
        int numbers = shape.batch() * shape.heads() * tokens * shape.headDim();
        float[] q = values(random, numbers, shape);
        keys[l][t] = values(random, numbers, shape);
        try (Scope _ = Scope.open()) {
          var k = PolicyCases.tensor(keys[l][t], shape, tokens);
          cache.attend(l, t, PolicyCases.tensor(q, shape, tokens), k, k);
        }
        for (int at = 0; at < held[l].length; at++) {
          int h = at % shape.heads();
          int quota = PolicyCases.quota(rule, shape, budget, t, l, h);
          boolean structural = name.equals("hack") && isStructural(profile, shape, l, h);
          choose(name, rule, shape, t, at, quota, structural, held[l][at], q, keys[l]);
          assertThat(PolicyCases.tokens(cache, l, h, at / shape.heads()))
              .as("%s budget %s scale %d layer %d head %d", shape, budget, t, l, at)
              .containsExactly(held[l][at].tokens.stream().mapToInt(token -> token).toArray());
        }
      }
    }
  }

  /**
   * Numbers that the compute type holds, for scores of the same size with any number of channels.
   */
  private static float[] values(Random random, int count, KvShape shape) {
    float[] values = PolicyCases.gaussian(random, count);
    for (int i = 0; i < count && shape.dtype() != DType.F32; i++) {
      values[i] = Math.round(values[i] * 32) / 64f;
    }
    return values;
  }

  /** Whether a head's variance is of the upper half. */
  private static boolean isStructural(
      CalibrationProfile profile, KvShape shape, int layer, int head) {
    double own = profile.statistics().variance(layer, head);
    long below =
        IntStream.range(0, shape.layers() * shape.heads())
            .filter(i -> profile.statistics().variance(i / shape.heads(), i % shape.heads()) < own)
            .count();
    return below >= Math.round(0.5 * shape.layers() * shape.heads());
  }

  private static void choose(
      String name,
      AttentionRule rule,
      KvShape shape,
      int scale,
      int at,
      int quota,
      boolean structural,
      Head head,
      float[] q,
      float[][] keys) {
    ScaleGrids grids = shape.grids();
    int[] window = rule.window(grids.size(scale));
    List<Integer> all = new ArrayList<>(head.tokens);
    int before = all.size();
    IntStream.range(grids.offset(scale), grids.offset(scale + 1)).forEach(all::add);
    double[] paid = new double[all.size()];
    for (int query : window) {
      double[] weights = new double[paid.length];
      for (int i = 0; i < paid.length; i++) {
        int source = 0;
        while (grids.offset(source + 1) <= all.get(i)) {
          source++;
        }
        int from =
            (at * grids.tokens(source) + all.get(i) - grids.offset(source)) * shape.headDim();
        double score = 0;
        for (int d = 0; d < shape.headDim(); d++) {
          score +=
              (double) q[(at * grids.tokens(scale) + query) * shape.headDim() + d]
                  * keys[source][from + d];
        }
        weights[i] = Math.exp(score);
      }
      double total = Arrays.stream(weights).sum();
      for (int i = 0; i < paid.length; i++) {
        paid[i] += weights[i] / total;
      }
    }
    double[] scores = new double[paid.length];
    for (int i = 0; i < scores.length; i++) {
      head.sums[all.get(i)] += paid[i];
      scores[i] =
          switch (name) {
            case "h2o" -> i >= scores.length - quota / 2 ? 1e9 : head.sums[all.get(i)];
            case "hack" ->
                !structural
                    ? paid[i]
                    : all.get(i) < grids.offset(SINKS) ? 1e9 : paid[i] + (i >= before ? 1e3 : 0);
            default -> pooled(paid, window, before, i, name.equals("scalekv"));
          };
    }
    head.tokens =
        IntStream.range(0, scores.length)
            .boxed()
            .sorted(
                Comparator.<Integer>comparingDouble(i -> scores[i])
                    .thenComparing(i -> i)
                    .reversed())
            .limit(quota)
            .sorted()
            .map(all::get)
            .toList();
  }

  /** The observed stay; of the others the mean, or the largest, of five neighbours. */
  private static double pooled(double[] paid, int[] window, int before, int at, boolean largest) {
    if (Arrays.stream(window).anyMatch(token -> before + token == at)) {
      return 1e9;
    }
    double sum = 0;
    double most = 0;
    for (int i = Math.max(0, at - 2); i <= Math.min(paid.length - 1, at + 2); i++) {
      int neighbour = i - before;
      double lent = Arrays.stream(window).anyMatch(token -> token == neighbour) ? 0 : paid[i];
      sum += lent;
      most = Math.max(most, lent);
    }
    return largest ? most : sum / 5;
  }
}
