package io.heatkv.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.TestDevice;
import io.heatkv.error.UserException;
import io.heatkv.policy.HeatKvPolicy;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.Atom;
import io.heatkv.schedule.CachePlan;
import io.heatkv.schedule.HeadOrders;
import io.heatkv.schedule.PruningSchedule;
import io.heatkv.schedule.ScheduleShape;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Pruned attention beside a naive float64 softmax that leaves removed atoms out. */
class PlannedCacheTest {
  private static final Backend BACKEND = TestDevice.backend();
  private static final ScaleGrids SCALES = ScaleGrids.parse("1x1,2x2,2x3,4x4,5x4,6x6");
  private static final int LAYERS = 3;
  private static final int HEADS = 4;
  private static final int DIM = 8;
  private static final int BATCH = 2;

  private static PruningSchedule schedule(Random random, double budget) {
    List<List<List<Integer>>> orders = new ArrayList<>();
    for (int source = 2; source <= SCALES.count() - 2; source++) {
      List<List<Integer>> order = new ArrayList<>();
      for (int i = 0; i < LAYERS * HEADS; i++) {
        order.add(List.of(i / LAYERS, i % LAYERS));
      }
      Collections.shuffle(order, random);
      orders.add(order);
    }
    return PruningSchedule.of(
        ScheduleShape.of(LAYERS, HEADS, SCALES, 2),
        HeadOrders.parse("test", orders, LAYERS, HEADS, 2, SCALES.count() - 2),
        budget);
  }

  private static KvShape shape(DType dtype) {
    return new KvShape(LAYERS, BATCH, 1, HEADS, DIM, dtype, SCALES);
  }

  /** Random [batch, heads, tokens, dim]. */
  private static float[] values(Random random, int tokens) {
    float[] values = new float[BATCH * HEADS * tokens * DIM];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private static Tensor tensor(float[] values, int tokens, DType dtype) {
    return Tensor.of(BACKEND, values, BATCH, HEADS, tokens, DIM).to(dtype).to(TestDevice.device());
  }

  @ParameterizedTest
  @CsvSource({"0.9, F32, 1e-5", "0.5, F32, 1e-5", "0.3, F32, 1e-5", "0.3, BF16, 0.05"})
  void attendsToWhatTheScheduleKeeps(double budget, DType dtype, double tolerance) {
    long live = BACKEND.liveTensors();
    for (long seed = 1; seed <= 4; seed++) {
      Random random = new Random(seed);
      PruningSchedule schedule = schedule(random, budget);
      HeatKvPolicy policy = new HeatKvPolicy(schedule, KvStorage.NATIVE);
      float[][][] keys = new float[SCALES.count()][LAYERS][];
      float[][][] stored = new float[SCALES.count()][LAYERS][];
      try (KvCache cache = policy.plan(shape(dtype)).open(BACKEND, TestDevice.device())) {
        for (int t = 0; t < SCALES.count(); t++) {
          Set<Atom> removed = new HashSet<>(schedule.removedAt(t));
          for (int l = 0; l < LAYERS; l++) {
            int tokens = SCALES.tokens(t);
            float[] q = values(random, tokens);
            keys[t][l] = values(random, tokens);
            stored[t][l] = values(random, tokens);
            try (Scope _ = Scope.open()) {
              double[] actual =
                  cache
                      .attend(
                          l,
                          t,
                          tensor(q, tokens, dtype),
                          tensor(keys[t][l], tokens, dtype),
                          tensor(stored[t][l], tokens, dtype))
                      .toDoubles();
              double[] expected = naive(q, keys, stored, t, l, removed);
              for (int i = 0; i < actual.length; i++) {
                assertThat(actual[i])
                    .as("seed %s scale %s layer %s element %s", seed, t, l, i)
                    .isCloseTo(expected[i], org.assertj.core.data.Offset.offset(tolerance));
              }
            }
          }
        }
        long slots = CachePlan.of(schedule).capacity();
        assertThat(slots).isEqualTo(schedule.peakTokens());
        assertThat(cache.memory().storage())
            .isEqualTo(slots * 2 * BATCH * DIM * dtype.bytes())
            .isEqualTo(policy.plan(shape(dtype)).bytes());
        assertThat(cache.memory().parts()).isEqualTo(policy.plan(shape(dtype)).parts());
        assertThat(cache.memory().currentScale())
            .isEqualTo(2L * BATCH * HEADS * 36 * DIM * dtype.bytes());
      }
    }
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
  }

  private static double[] naive(
      float[] q, float[][][] keys, float[][][] stored, int scale, int layer, Set<Atom> removed) {
    int tokens = SCALES.tokens(scale);
    double[] out = new double[BATCH * HEADS * tokens * DIM];
    for (int row = 0; row < BATCH * HEADS; row++) {
      for (int query = 0; query < tokens; query++) {
        int at = (row * tokens + query) * DIM;
        double total = 0;
        for (int source = 0; source <= scale; source++) {
          if (removed.contains(new Atom(source, row % HEADS, layer))) {
            continue;
          }
          for (int key = 0; key < SCALES.tokens(source); key++) {
            int from = (row * SCALES.tokens(source) + key) * DIM;
            double score = 0;
            for (int d = 0; d < DIM; d++) {
              score += (double) q[at + d] * keys[source][layer][from + d];
            }
            double weight = Math.exp(score);
            total += weight;
            for (int d = 0; d < DIM; d++) {
              out[at + d] += weight * stored[source][layer][from + d];
            }
          }
        }
        for (int d = 0; d < DIM; d++) {
          out[at + d] /= total;
        }
      }
    }
    return out;
  }

  @Test
  void fullBudgetGivesTheBitsOfTheFullCache() {
    Random random = new Random(7);
    try (Scope _ = Scope.open();
        KvCache pruned =
            new HeatKvPolicy(schedule(random, 1), KvStorage.NATIVE)
                .plan(shape(DType.F32))
                .open(BACKEND, TestDevice.device());
        KvCache full = CachePolicy.FULL.plan(shape(DType.F32)).open(BACKEND, TestDevice.device())) {
      for (int t = 0; t < SCALES.count(); t++) {
        for (int l = 0; l < LAYERS; l++) {
          int tokens = SCALES.tokens(t);
          Tensor q = tensor(values(random, tokens), tokens, DType.F32);
          Tensor k = tensor(values(random, tokens), tokens, DType.F32);
          Tensor v = tensor(values(random, tokens), tokens, DType.F32);
          assertThat(pruned.attend(l, t, q, k, v).toFloats())
              .containsExactly(full.attend(l, t, q, k, v).toFloats());
        }
      }
      assertThat(pruned.memory()).isEqualTo(full.memory());
    }
  }

  @Test
  void refusesAnotherModelOrOtherScales() {
    HeatKvPolicy policy = new HeatKvPolicy(schedule(new Random(1), 0.5), KvStorage.NATIVE);
    KvShape otherHeads = new KvShape(LAYERS, 2, 2, HEADS + 1, DIM, DType.F32, SCALES);
    assertThatThrownBy(() -> policy.plan(otherHeads).open(BACKEND, TestDevice.device()))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("3 layers of 4 heads")
        .hasMessageContaining("3 of 5");
    KvShape otherScales =
        new KvShape(LAYERS, 2, 2, HEADS, DIM, DType.F32, ScaleGrids.parse("1x1,2x2,3x3"));
    assertThatThrownBy(() -> policy.plan(otherScales).bytes())
        .isInstanceOf(UserException.class)
        .hasMessageContaining("1x1,2x2,3x3");
  }
}
