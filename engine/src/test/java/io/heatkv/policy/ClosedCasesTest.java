package io.heatkv.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.TestDevice;
import io.heatkv.cache.EvictionPolicy;
import io.heatkv.cache.EvictionRule;
import io.heatkv.cache.KvCache;
import io.heatkv.cache.KvShape;
import io.heatkv.cache.KvStorage;
import io.heatkv.cache.PolicyCases;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.schedule.AttentionStatistics;
import io.heatkv.schedule.PromptStatistics;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Which tokens stay, worked out by hand. Every query is the same, and the score of a key is its
 * token's heat: the attention that a token gets is in proportion to e^heat.
 */
class ClosedCasesTest {
  private static final Backend BACKEND = TestDevice.backend();
  // Scales begin at tokens 0, 1, 5, 14, 30.
  private static final ScaleGrids SMALL = ScaleGrids.parse("1x1,2x2,3x3,4x4,5x5");
  // Scales begin at tokens 0, 1, 5, 21, 57.
  private static final ScaleGrids WIDE = ScaleGrids.parse("1x1,2x2,4x4,6x6,8x8");

  /** Tokens held [layer][head] once all scales up to {@code last} are drawn. */
  private static int[][][] held(
      EvictionRule rule, double budget, KvShape shape, int last, Map<Integer, Double> heat) {
    long live = BACKEND.liveTensors();
    EvictionPolicy policy = new EvictionPolicy("test", rule, budget, KvStorage.NATIVE);
    int[][][] held = new int[shape.layers()][shape.heads()][];
    try (KvCache cache = PolicyCases.open(policy, shape)) {
      for (int t = 0; t <= last; t++) {
        for (int l = 0; l < shape.layers(); l++) {
          int tokens = shape.grids().tokens(t);
          float[] q = new float[shape.heads() * tokens * shape.headDim()];
          float[] k = new float[q.length];
          for (int i = 0; i < shape.heads() * tokens; i++) {
            int token = shape.grids().offset(t) + i % tokens;
            q[i * shape.headDim()] = 1;
            k[i * shape.headDim()] = heat.getOrDefault(token, 0.0).floatValue();
          }
          try (Scope _ = Scope.open()) {
            Tensor key = PolicyCases.tensor(k, shape, tokens);
            cache.attend(l, t, PolicyCases.tensor(q, shape, tokens), key, key);
          }
        }
      }
      for (int l = 0; l < shape.layers(); l++) {
        for (int h = 0; h < shape.heads(); h++) {
          held[l][h] = PolicyCases.tokens(cache, l, h, 0);
        }
      }
    }
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
    return held;
  }

  private static int[] held(
      EvictionRule rule, int quota, ScaleGrids grids, int last, Map<Integer, Double> heat) {
    KvShape shape = PolicyCases.shape(1, 1, 1, grids);
    return held(rule, (quota + 0.5) / grids.cachedTokens(), shape, last, heat)[0][0];
  }

  private static int[] range(int first, int last) {
    return IntStream.rangeClosed(first, last).toArray();
  }

  private static int[] join(int[]... parts) {
    return Arrays.stream(parts).flatMapToInt(Arrays::stream).toArray();
  }

  @Test
  void slidingWindowKeepsTheNewest() {
    assertThat(held(new SlidingWindow(), 8, SMALL, 2, Map.of())).containsExactly(range(6, 13));
    assertThat(held(new SlidingWindow(), 8, SMALL, 3, Map.of())).containsExactly(range(22, 29));
    assertThat(held(new SlidingWindow(), 20, SMALL, 3, Map.of())).containsExactly(range(10, 29));
  }

  @Test
  void streamingLlmKeepsTheFirstTwoScalesAndTheNewest() {
    assertThat(held(new StreamingLlm(), 8, SMALL, 2, Map.of()))
        .containsExactly(0, 1, 2, 3, 4, 11, 12, 13);
    assertThat(held(new StreamingLlm(), 8, SMALL, 3, Map.of()))
        .containsExactly(0, 1, 2, 3, 4, 27, 28, 29);
  }

  @Test
  void randomKeepsEveryTokenEquallyOften() {
    int heads = 400;
    int[][] held =
        held(new RandomEviction(), 8.5 / 30, PolicyCases.shape(1, 1, heads, SMALL), 3, Map.of())[0];
    int[] times = new int[30];
    Set<String> choices = new HashSet<>();
    for (int[] tokens : held) {
      choices.add(Arrays.toString(tokens));
      Arrays.stream(tokens).forEach(token -> times[token]++);
    }
    // 400 draws of probability 8 / 30: mean 107, standard deviation 9; here within five of them.
    assertThat(Arrays.stream(times).boxed()).allMatch(count -> count >= 62 && count <= 152);
    assertThat(choices).hasSizeGreaterThan(395);
  }

  @Test
  void snapKvKeepsWhatTheLastQueriesSeeAndItsNeighbours() {
    // The last 16 tokens of the scale are observed and stay; scores are means over five tokens.
    int[] window = range(41, 56);
    Map<Integer, Double> heat = Map.of(10, 5.0, 2, 4.0, 30, 3.0);
    assertThat(held(new SnapKv(), 21, WIDE, 3, heat)).containsExactly(join(range(8, 12), window));
    assertThat(held(new SnapKv(), 26, WIDE, 3, heat))
        .containsExactly(join(range(0, 4), range(8, 12), window));
    assertThat(held(new SnapKv(), 31, WIDE, 3, heat))
        .containsExactly(join(range(0, 4), range(8, 12), range(28, 32), window));
  }

  @Test
  void h2oKeepsHeavyHittersAndTheNewest() {
    // Token 0 has the only query of scale 0; token 2 leads from scale 1 on, 7 from scale 2 on.
    Map<Integer, Double> heat = Map.of(2, 6.0, 7, 5.0, 3, 1.0);
    assertThat(held(new H2o(), 8, SMALL, 2, heat)).containsExactly(0, 2, 3, 7, 10, 11, 12, 13);
    assertThat(held(new H2o(), 8, SMALL, 3, heat)).containsExactly(0, 2, 3, 7, 26, 27, 28, 29);
  }

  @Test
  void pyramidKvFallsFromLayerToLayer() {
    KvShape shape = PolicyCases.shape(3, 1, 1, WIDE);
    // Of 85 tokens: 16 each, and shares from 1.95 to 0.05 of the mean of the rest, rounded down.
    assertThat(sizes(held(PyramidKv.of(shape), 0.5, shape, 3, Map.of())))
        .containsExactly(41, 28, 16);
    // Of 153: the first layer keeps all 57, the slope flattens.
    assertThat(sizes(held(PyramidKv.of(shape), 0.9, shape, 3, Map.of())))
        .containsExactly(57, 51, 45);
    // The choice is SnapKV's.
    int[] last = held(PyramidKv.of(shape), 0.5, shape, 3, Map.of(10, 5.0))[2][0];
    assertThat(last).containsExactly(range(41, 56));
  }

  private static int[] sizes(int[][][] held) {
    return Arrays.stream(held).mapToInt(layer -> layer[0].length).toArray();
  }

  private static AttentionStatistics statistics(
      KvShape shape, double[][] selectivity, double[][] variance, double[] distance) {
    return AttentionStatistics.none(shape.layers(), shape.heads(), shape.grids().count())
        .plus(new PromptStatistics(selectivity, variance, distance));
  }

  @Test
  void scaleKvGivesDraftersWhatRefinersLeave() {
    KvShape shape = PolicyCases.shape(4, 1, 1, WIDE);
    double[][] selectivity = new double[5][4];
    for (double[] target : selectivity) {
      Arrays.fill(target, 0.5);
    }
    // One drafter of 16 pairs: layer 2 when the last scale looks.
    selectivity[4][2] = 0.1;
    ScaleKv rule =
        ScaleKv.of(statistics(shape, selectivity, new double[4][1], new double[4]), 4, WIDE);
    // Of 136 tokens: refiners 12/13 of the mean, the drafter 16/13.
    assertThat(sizes(held(rule, 0.6, shape, 3, Map.of()))).containsExactly(31, 31, 42, 31);
    assertThat(sizes(held(rule, 0.6, shape, 2, Map.of()))).containsExactly(21, 21, 21, 21);
  }

  /**
   * Tokens of the one drafter of four layers, in units of the mean / 650: of refiners' 600 at the
   * first scale that can't keep all, 70 less at each later one, and 162.5 at least, it has the
   * rest.
   */
  @ParameterizedTest
  @CsvSource({
    // Scales begin at 1, 5, 14, 30, 55, 91, 140, 204, 285, 385; what is drawn next begins at 385.
    "9, 385, 650",
    "9, 384, 800",
    "9, 285, 800",
    "9, 284, 1010",
    "9, 204, 1010",
    "9, 91, 1430",
    "9, 90, 1640",
    "9, 55, 1640",
    "9, 54, 1850",
    "9, 14, 2060",
    "9, 5, 2112.5",
    "2, 14, 650",
    "2, 13, 800"
  })
  void scaleKvDecaysFromTheFirstScaleThatLosesTokens(int scale, double mean, double share) {
    ScaleGrids grids = ScaleGrids.parse("1x1,2x2,3x3,4x4,5x5,6x6,7x7,8x8,9x9,10x10,11x11");
    double[][] selectivity = new double[11][4];
    for (double[] target : selectivity) {
      Arrays.fill(target, 0.5);
    }
    // A sixteenth of 40 pairs, rounded, are 3.
    for (int target : new int[] {1, 5, scale + 1}) {
      selectivity[target][2] = 0.1;
    }
    KvShape shape = PolicyCases.shape(4, 1, 1, grids);
    ScaleKv rule =
        ScaleKv.of(statistics(shape, selectivity, new double[4][1], new double[4]), 4, grids);
    double drafter = Math.min(mean * share / 650, grids.offset(scale + 1));
    assertThat(rule.tokens(scale, 2, 0, mean)).isCloseTo(drafter, within(1e-9));
    for (int refiner : new int[] {0, 1, 3}) {
      assertThat(rule.tokens(scale, refiner, 0, mean))
          .isCloseTo((4 * mean - drafter) / 3, within(1e-9));
    }
  }

  /**
   * Of 57 tokens, 16 observed: the rest of the mean is halved between the first layer and the last,
   * which has a twentieth; where the first would have more than all, the others take what is left.
   */
  @ParameterizedTest
  @CsvSource({
    "36, 55, 17",
    "16, 16, 16",
    // 16 + 41 are all: 2 share - share / 20 = 41
    "37.025641025641, 57, 17.05128205",
    "40, 57, 23",
    "57, 57, 57"
  })
  void pyramidKvIsLinearInTheLayer(double mean, double first, double last) {
    PyramidKv rule = PyramidKv.of(PolicyCases.shape(4, 1, 1, WIDE));
    for (int layer = 0; layer < 4; layer++) {
      assertThat(rule.tokens(3, layer, 0, mean))
          .isCloseTo(first - layer * (first - last) / 3, within(1e-6));
    }
    assertThat(PyramidKv.of(PolicyCases.shape(1, 1, 1, WIDE)).tokens(3, 0, 0, mean))
        .isEqualTo(mean);
  }

  /** Twice as many for layers whose distance is above the mean, which equal ones aren't. */
  @ParameterizedTest
  @CsvSource({
    "0.1, 0.4, 0.1, 7.5, 15, 7.5",
    "0.4, 0.1, 0.4, 12, 6, 12",
    "0.25, 0.25, 0.25, 10, 10, 10",
    "0.25, 0, 0.5, 7.5, 7.5, 15"
  })
  void amsKvFavoursLayersAboveTheMean(
      double a, double b, double c, double first, double second, double third) {
    KvShape shape = PolicyCases.shape(3, 1, 1, SMALL);
    AmsKv rule =
        AmsKv.of(
            statistics(shape, new double[5][3], new double[3][1], new double[] {a, b, c}), shape);
    double[] expected = {first, second, third};
    for (int layer = 0; layer < 3; layer++) {
      assertThat(rule.tokens(3, layer, 0, 10)).isCloseTo(expected[layer], within(1e-9));
    }
  }

  /** Four times as many for the upper half of the heads; of an odd number the middle is lower. */
  @ParameterizedTest
  @CsvSource({"'0.2,0.1', '16,4'", "'0.3,0.1,0.2', '20,5,5'", "'0.4,0.1,0.2,0.3', '16,4,4,16'"})
  void hackFavoursHeadsThatVaryMore(String variances, String tokens) {
    double[] variance = Arrays.stream(variances.split(",")).mapToDouble(Double::valueOf).toArray();
    double[] expected = Arrays.stream(tokens.split(",")).mapToDouble(Double::valueOf).toArray();
    KvShape shape = PolicyCases.shape(1, 1, variance.length, SMALL);
    Hack rule =
        Hack.of(
            statistics(shape, new double[5][1], new double[][] {variance}, new double[1]), shape);
    for (int head = 0; head < variance.length; head++) {
      assertThat(rule.tokens(3, 0, head, 10)).isCloseTo(expected[head], within(1e-9));
    }
    assertThat(rule.window(new ScaleSize(8, 8))).hasSize(32).startsWith(0, 2, 4).endsWith(60, 62);
    assertThat(rule.window(new ScaleSize(5, 8))).startsWith(0, 1, 2, 3, 5).endsWith(37, 38);
    assertThat(rule.window(new ScaleSize(2, 2))).containsExactly(0, 1, 2, 3);
  }

  /** A quarter of the heads is favoured; of 30 tokens they can't have more than all. */
  @ParameterizedTest
  @CsvSource({
    // (10 - 0.25 * 16) / 0.75, then the rest of 30 each
    "10, 16, 0.25, 16, 8",
    "10, 30, 0.25, 30, 3.3333333333333335",
    "10, 40, 0.25, 30, 3.3333333333333335",
    "10, 16, 0, 10, 10",
    "10, 16, 1, 10, 10",
    "30, 16, 0.25, 30, 30",
    "31, 16, 0.25, 31, 31"
  })
  void whatFavouredHeadsLeaveGoesToTheOthers(
      double mean, double wanted, double favoured, double theirs, double others) {
    assertThat(UnequalShares.of(true, mean, wanted, favoured, 30)).isEqualTo(theirs);
    assertThat(UnequalShares.of(false, mean, wanted, favoured, 30)).isEqualTo(others);
  }

  @Test
  void scaleKvKeepsPatchCentresAndWhatTheySee() {
    KvShape shape = PolicyCases.shape(1, 1, 1, WIDE);
    ScaleKv rule =
        ScaleKv.of(statistics(shape, new double[5][1], new double[1][1], new double[1]), 1, WIDE);
    assertThat(rule.window(new ScaleSize(8, 8)))
        .containsExactly(0, 2, 4, 6, 16, 18, 20, 22, 32, 34, 36, 38, 48, 50, 52, 54);
    assertThat(rule.window(new ScaleSize(12, 4)))
        .containsExactly(4, 5, 6, 7, 16, 17, 18, 19, 28, 29, 30, 31, 40, 41, 42, 43);
    assertThat(rule.window(new ScaleSize(3, 7))).containsExactly(range(5, 20));
    // The window of 6x6 are rows and columns 0 to 3; scores are maxima of five tokens.
    int[] window = join(range(21, 24), range(27, 30), range(33, 36), range(39, 42));
    assertThat(held(rule, 21, WIDE, 3, Map.of(10, 5.0)))
        .containsExactly(join(range(8, 12), window));
    // Of equal scores the later stay.
    assertThat(held(rule, 18, WIDE, 3, Map.of(10, 5.0)))
        .containsExactly(join(range(11, 12), window));
  }

  @Test
  void hackTreatsHeadsByTheirVariance() {
    KvShape shape = PolicyCases.shape(1, 1, 4, SMALL);
    double[][] variance = {{0.3, 0.1, 0.4, 0.2}};
    Hack rule = Hack.of(statistics(shape, new double[5][1], variance, new double[1]), shape);
    Map<Integer, Double> heat = Map.of(2, 6.0, 7, 5.0, 20, 4.0, 9, 2.0, 11, 1.5, 3, 1.0);
    // Of 60 tokens: 6 for contextual heads, 24 for structural ones.
    int[][] held = held(rule, 0.5, shape, 3, heat)[0];
    int[] contextual = {2, 3, 7, 9, 11, 20};
    int[] structural = join(range(0, 4), new int[] {7, 9, 11}, range(14, 29));
    assertThat(held[0]).containsExactly(structural);
    assertThat(held[1]).containsExactly(contextual);
    assertThat(held[2]).containsExactly(structural);
    assertThat(held[3]).containsExactly(contextual);
  }

  @Test
  void amsKvKeepsCoarsestAndNewestScales() {
    KvShape shape = PolicyCases.shape(3, 1, 1, SMALL);
    double[] distance = {0.1, 0.4, 0.1};
    AmsKv rule = AmsKv.of(statistics(shape, new double[5][3], new double[3][1], distance), shape);
    // Of 45 tokens: twice as many for layer 1.
    int[][][] held = held(rule, 0.5, shape, 3, Map.of());
    int[] efficient = {0, 1, 2, 3, 4, 14, 16, 19, 22, 24, 27};
    assertThat(held[0][0]).containsExactly(efficient);
    assertThat(held[1][0]).containsExactly(join(range(0, 5), new int[] {9}, range(14, 29)));
    assertThat(held[2][0]).containsExactly(efficient);
  }
}
