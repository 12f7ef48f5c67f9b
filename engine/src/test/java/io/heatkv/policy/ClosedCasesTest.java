package io.heatkv.policy;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.TestDevice;
import io.heatkv.cache.EvictionPolicy;
import io.heatkv.cache.EvictionRule;
import io.heatkv.cache.KvCache;
import io.heatkv.cache.KvShape;
import io.heatkv.cache.PolicyCases;
import io.heatkv.scale.ScaleSchedule;
import io.heatkv.scale.ScaleSchedules;
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

/**
 * Which tokens stay, worked out by hand. Every query is the same, and the score of a key is its
 * token's heat: the attention that a token gets is in proportion to e^heat.
 */
class ClosedCasesTest {
  private static final Backend BACKEND = TestDevice.backend();
  // Scales begin at tokens 0, 1, 5, 14, 30.
  private static final ScaleSchedule SMALL = ScaleSchedules.parse("1x1,2x2,3x3,4x4,5x5");
  // Scales begin at tokens 0, 1, 5, 21, 57.
  private static final ScaleSchedule WIDE = ScaleSchedules.parse("1x1,2x2,4x4,6x6,8x8");

  /** Tokens held [layer][head] once all scales up to {@code last} are drawn. */
  private static int[][][] held(
      EvictionRule rule, double budget, KvShape shape, int last, Map<Integer, Double> heat) {
    long live = BACKEND.liveTensors();
    EvictionPolicy policy = new EvictionPolicy("test", rule, budget);
    int[][][] held = new int[shape.layers()][shape.heads()][];
    try (KvCache cache = PolicyCases.open(policy, shape)) {
      for (int t = 0; t <= last; t++) {
        for (int l = 0; l < shape.layers(); l++) {
          int tokens = shape.schedule().tokens(t);
          float[] q = new float[shape.heads() * tokens * shape.headDim()];
          float[] k = new float[q.length];
          for (int i = 0; i < shape.heads() * tokens; i++) {
            int token = shape.schedule().offset(t) + i % tokens;
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
      EvictionRule rule, int quota, ScaleSchedule scales, int last, Map<Integer, Double> heat) {
    KvShape shape = PolicyCases.shape(1, 1, 1, scales);
    return held(rule, (quota + 0.5) / scales.cachedTokens(), shape, last, heat)[0][0];
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
    return AttentionStatistics.none(shape.layers(), shape.heads(), shape.schedule().count())
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
