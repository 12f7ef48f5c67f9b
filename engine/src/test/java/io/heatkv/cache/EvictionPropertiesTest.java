package io.heatkv.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.TestDevice;
import io.heatkv.policy.CachePolicies;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What every policy that drops tokens must keep to, over random queries, keys and values. */
class EvictionPropertiesTest {
  private static final Backend BACKEND = TestDevice.backend();
  private static final ScaleGrids SCALES = ScaleGrids.parse("1x1,2x2,3x3,4x4,4x6,6x6,7x8");
  private static final int LAYERS = 3;
  private static final int HEADS = 3;
  private static final int BATCH = 2;
  private static final int DIM = 8;
  private static final KvShape SHAPE = PolicyCases.shape(LAYERS, BATCH, HEADS, SCALES);

  static List<String> names() {
    return CachePolicies.names().stream()
        .filter(name -> !name.startsWith("heatkv") && CachePolicies.whole(name).isEmpty())
        .toList();
  }

  /** Random queries, keys or values [scale][layer][batch heads tokens dim]. */
  private static float[][][] values(Random random) {
    float[][][] values = new float[SCALES.count()][LAYERS][];
    for (int t = 0; t < SCALES.count(); t++) {
      for (int l = 0; l < LAYERS; l++) {
        values[t][l] = PolicyCases.gaussian(random, BATCH * HEADS * SCALES.tokens(t) * DIM);
      }
    }
    return values;
  }

  @ParameterizedTest
  @MethodSource("names")
  void attendsToWhatItKeepsWithinTheBudget(String name) {
    long live = BACKEND.liveTensors();
    for (long seed = 1; seed <= 4; seed++) {
      Random random = new Random(seed);
      double budget = 0.3 + 0.65 * random.nextDouble();
      CachePolicy policy = CachePolicies.create(name, PolicyCases.inputs(SHAPE, budget, seed));
      float[][][] q = values(random);
      float[][][] k = values(random);
      float[][][] v = values(random);
      try (EvictionCache cache =
          (EvictionCache) policy.plan(SHAPE).open(BACKEND, TestDevice.device())) {
        long all = (long) LAYERS * HEADS * SCALES.cachedTokens();
        long peak = 0;
        for (int t = 0; t < SCALES.count(); t++) {
          for (int l = 0; l < LAYERS; l++) {
            String at = "seed %d budget %s scale %d layer %d".formatted(seed, budget, t, l);
            int[][][] held = held(cache, l);
            double[] expected = naive(q[t][l], k, v, t, l, held);
            double[] actual = attend(cache, SHAPE, l, t, q[t][l], k[t][l], v[t][l]);
            assertThat(error(actual, expected, 0)).as(at).isLessThan(1e-5);
            checkChoice(held(cache, l), held, t, at);
            long tokens = 0;
            for (int each = 0; each < LAYERS; each++) {
              for (int h = 0; h < HEADS; h++) {
                tokens += cache.tokens(each, h, 0).length;
              }
            }
            assertThat(tokens).as(at).isLessThanOrEqualTo((long) (budget * all));
            peak = Math.max(peak, tokens);
          }
        }
        assertThat((double) peak)
            .as("seed %s budget %s: most of the budget is used", seed, budget)
            .isBetween(0.75 * budget * all, budget * all);
        assertThat(peak * SHAPE.bytesPerHeadToken()).isEqualTo(policy.plan(SHAPE).peakBytes());
        assertThat(cache.memory().storage())
            .isEqualTo(policy.plan(SHAPE).bytes())
            .isLessThanOrEqualTo((long) (budget * SHAPE.fullBytes()));
      }
    }
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
  }

  /** Largest difference from the expected values from {@code start} on. */
  private static double error(double[] actual, double[] expected, int start) {
    double most = 0;
    for (int i = 0; i < actual.length; i++) {
      // Not a maximum, which would let NaN pass.
      double difference = Math.abs(actual[i] - expected[start + i]);
      most = difference <= most ? most : difference;
    }
    return most;
  }

  /** Rows hold equally many tokens, each once, old ones only if they were held before. */
  private static void checkChoice(int[][][] now, int[][][] before, int scale, String at) {
    for (int h = 0; h < HEADS; h++) {
      for (int row = 0; row < BATCH; row++) {
        assertThat(now[h][row]).as(at).hasSameSizeAs(now[h][0]).doesNotHaveDuplicates();
        List<Integer> old = Arrays.stream(before[h][row]).boxed().toList();
        for (int token : now[h][row]) {
          boolean fresh = token >= SCALES.offset(scale) && token < SCALES.offset(scale + 1);
          assertThat(fresh || old.contains(token)).as("%s token %d", at, token).isTrue();
        }
      }
    }
  }

  /** Tokens held by a layer [head][row]. */
  private static int[][][] held(EvictionCache cache, int layer) {
    int[][][] held = new int[HEADS][BATCH][];
    for (int h = 0; h < HEADS; h++) {
      for (int row = 0; row < BATCH; row++) {
        held[h][row] = cache.tokens(layer, h, row);
      }
    }
    return held;
  }

  private static double[] attend(
      KvCache cache, KvShape shape, int layer, int scale, float[] q, float[] k, float[] v) {
    int tokens = SCALES.tokens(scale);
    try (Scope _ = Scope.open()) {
      return cache
          .attend(
              layer,
              scale,
              PolicyCases.tensor(q, shape, tokens),
              PolicyCases.tensor(k, shape, tokens),
              PolicyCases.tensor(v, shape, tokens))
          .toDoubles();
    }
  }

  /** Float64 softmax over the tokens held, as they were once written, and the whole scale. */
  private static double[] naive(
      float[] q, float[][][] k, float[][][] v, int scale, int layer, int[][][] held) {
    int tokens = SCALES.tokens(scale);
    double[] out = new double[BATCH * HEADS * tokens * DIM];
    for (int row = 0; row < BATCH * HEADS; row++) {
      int[] old = held[row % HEADS][row / HEADS];
      for (int query = 0; query < tokens; query++) {
        int at = (row * tokens + query) * DIM;
        double total = 0;
        for (int i = 0; i < old.length + tokens; i++) {
          int token = i < old.length ? old[i] : SCALES.offset(scale) + i - old.length;
          int source = 0;
          while (SCALES.offset(source + 1) <= token) {
            source++;
          }
          int from = (row * SCALES.tokens(source) + token - SCALES.offset(source)) * DIM;
          double score = 0;
          for (int d = 0; d < DIM; d++) {
            score += (double) q[at + d] * k[source][layer][from + d];
          }
          double weight = Math.exp(score);
          total += weight;
          for (int d = 0; d < DIM; d++) {
            out[at + d] += weight * v[source][layer][from + d];
          }
        }
        for (int d = 0; d < DIM; d++) {
          out[at + d] /= total;
        }
      }
    }
    return out;
  }

  @ParameterizedTest
  @MethodSource("names")
  void aWholeBudgetIsTheFullCache(String name) {
    Random random = new Random(11);
    CachePolicy policy = CachePolicies.create(name, PolicyCases.inputs(SHAPE, 1, 11));
    assertThat(policy.plan(SHAPE).bytes()).isEqualTo(SHAPE.fullBytes());
    try (KvCache opened = policy.plan(SHAPE).open(BACKEND, TestDevice.device());
        KvCache evicting = PolicyCases.open((EvictionPolicy) policy, SHAPE);
        KvCache full = CachePolicy.FULL.plan(SHAPE).open(BACKEND, TestDevice.device())) {
      for (int t = 0; t < SCALES.count(); t++) {
        for (int l = 0; l < LAYERS; l++) {
          int count = BATCH * HEADS * SCALES.tokens(t) * DIM;
          float[] q = PolicyCases.gaussian(random, count);
          float[] k = PolicyCases.gaussian(random, count);
          float[] v = PolicyCases.gaussian(random, count);
          double[] expected = attend(full, SHAPE, l, t, q, k, v);
          assertThat(attend(opened, SHAPE, l, t, q, k, v)).containsExactly(expected);
          assertThat(error(attend(evicting, SHAPE, l, t, q, k, v), expected, 0))
              .as("scale %d layer %d", t, l)
              .isLessThan(1e-5);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("names")
  void rowsDontMix(String name) {
    KvShape alone = PolicyCases.shape(LAYERS, 1, HEADS, SCALES);
    Random random = new Random(5);
    float[][][] q = values(random);
    float[][][] k = values(random);
    float[][][] v = values(random);
    CachePolicy policy = CachePolicies.create(name, PolicyCases.inputs(SHAPE, 0.45, 5));
    for (int row = 0; row < BATCH; row++) {
      try (EvictionCache both =
              (EvictionCache) policy.plan(SHAPE).open(BACKEND, TestDevice.device());
          EvictionCache one =
              (EvictionCache) policy.plan(alone).open(BACKEND, TestDevice.device())) {
        for (int t = 0; t < SCALES.count(); t++) {
          for (int l = 0; l < LAYERS; l++) {
            double[] batch = attend(both, SHAPE, l, t, q[t][l], k[t][l], v[t][l]);
            double[] single =
                attend(one, alone, l, t, row(q[t][l], row), row(k[t][l], row), row(v[t][l], row));
            assertThat(error(single, batch, row * single.length)).isLessThan(1e-5);
            for (int h = 0; h < HEADS; h++) {
              assertThat(both.tokens(l, h, row)).containsExactly(one.tokens(l, h, 0));
            }
          }
        }
      }
    }
  }

  private static float[] row(float[] batch, int row) {
    int length = batch.length / BATCH;
    return Arrays.copyOfRange(batch, row * length, (row + 1) * length);
  }

  @Test
  void aRuleThatFailsLeavesNoTensorsBehind() {
    long live = BACKEND.liveTensors();
    PositionRule unready =
        candidates -> {
          if (candidates.scale() == 4) {
            throw new IllegalStateException("no scores");
          }
          return new double[candidates.count()];
        };
    for (EvictionRule failing : List.of(unready, PolicyCases.failing(4))) {
      fails(failing, "no scores");
    }
    PositionRule shorter = _ -> new double[7];
    fails(shorter, "7 scores for 54 candidates");
    fails(
        new AttentionRule() {
          @Override
          public int[] window(ScaleSize map) {
            return new int[0];
          }

          @Override
          public Tensor scores(ObservedCandidates candidates) {
            return candidates.attention().narrow(2, 0, 7);
          }
        },
        "scores of [2, 3, 7] for candidates of [2, 3, 54]");
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
  }

  private static void fails(EvictionRule rule, String message) {
    EvictionPolicy policy = new EvictionPolicy("failing", rule, 0.5, KvStorage.NATIVE);
    Random random = new Random(1);
    assertThatThrownBy(
            () -> {
              try (KvCache cache = policy.plan(SHAPE).open(BACKEND, TestDevice.device())) {
                for (int t = 0; t < SCALES.count(); t++) {
                  for (int l = 0; l < LAYERS; l++) {
                    float[] any =
                        PolicyCases.gaussian(random, BATCH * HEADS * SCALES.tokens(t) * DIM);
                    attend(cache, SHAPE, l, t, any, any, any);
                  }
                }
              }
            })
        .hasMessage(message);
  }

  @Test
  void noMoreSlotsAreHandedOutThanThereAre() {
    FreeSlots slots = new FreeSlots(5);
    int[] taken = slots.take(3);
    assertThatThrownBy(() -> slots.take(3))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("3 slots asked for, 2 of 5 are free");
    slots.give(taken[0]);
    assertThat(slots.take(3)).doesNotContain(taken[1], taken[2]).contains(taken[0]);
  }

  @Test
  void theBestAreChosenAndOfEqualOnesTheLater() {
    double[] scores = {3, 1, Double.POSITIVE_INFINITY, 1, 2, 1};
    assertThat(EvictionPlan.best(scores, 0)).isEmpty();
    assertThat(EvictionPlan.best(scores, 2)).containsExactly(0, 2);
    assertThat(EvictionPlan.best(scores, 4)).containsExactly(0, 2, 4, 5);
    assertThat(EvictionPlan.best(scores, 5)).containsExactly(0, 2, 3, 4, 5);
    assertThat(EvictionPlan.best(scores, 6)).containsExactly(0, 1, 2, 3, 4, 5);
  }
}
