package io.heatkv.calibrate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.TestDevice;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvCache;
import io.heatkv.cache.KvShape;
import io.heatkv.error.UserException;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Attention mass beside a naive float64 softmax. */
class ObservedCacheTest {
  private static final Backend BACKEND = TestDevice.backend();
  private static final ScaleGrids SCALES = ScaleGrids.parse("1x1,2x2,3x2,4x4,5x6");
  private static final int LAYERS = 2;
  private static final int HEADS = 3;
  private static final int DIM = 4;

  @ParameterizedTest
  @CsvSource({"0,0", "1,0", "2,0", "0,1048576", "1,1048576", "2,1048576"})
  void measuresTheConditionalRow(int sinkScales, long mostBytes) {
    long live = BACKEND.liveTensors();
    Random random = new Random(sinkScales);
    KvShape shape = new KvShape(LAYERS, 2, 2, HEADS, DIM, DType.F32, SCALES);
    double[][][][] masses = new double[SCALES.count()][][][];
    double[][][][] expected = new double[SCALES.count()][SCALES.count()][LAYERS][HEADS];
    float[][][] keys = new float[SCALES.count()][LAYERS][];
    try (KvCache observed =
            new ObservedCache(
                BACKEND,
                TestDevice.device(),
                shape,
                sinkScales,
                (target, mass) -> masses[target] = mass,
                true,
                mostBytes);
        KvCache plain = CachePolicy.FULL.plan(shape).open(BACKEND, TestDevice.device())) {
      for (int t = 0; t < SCALES.count(); t++) {
        for (int l = 0; l < LAYERS; l++) {
          float[] q = values(random, t);
          keys[t][l] = values(random, t);
          try (Scope _ = Scope.open()) {
            Tensor query = tensor(q, t);
            Tensor key = tensor(keys[t][l], t);
            Tensor value = tensor(values(random, t), t);
            // Drawn as without observation, to the last bit.
            assertThat(observed.attend(l, t, query, key, value).toFloats())
                .containsExactly(plain.attend(l, t, query, key, value).toFloats());
          }
          naive(expected, q, keys, t, l);
        }
      }
      assertThatThrownBy(() -> observed.removeRows(0, 2))
          .isInstanceOf(UnsupportedOperationException.class);
    }
    for (int t = 0; t < SCALES.count(); t++) {
      if (t <= sinkScales) {
        assertThat(masses[t]).as("scale %s", t).isNull();
        continue;
      }
      for (int s = sinkScales; s < t; s++) {
        for (int l = 0; l < LAYERS; l++) {
          for (int h = 0; h < HEADS; h++) {
            assertThat(masses[t][s][l][h])
                .as("target %s source %s layer %s head %s", t, s, l, h)
                .isCloseTo(expected[t][s][l][h], within(1e-6));
          }
        }
      }
    }
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
  }

  /** Memory may run out at any tensor that the cache keeps; what was there before is freed. */
  @Test
  void aCacheThatCannotBeMadeKeepsNothing() {
    long live = BACKEND.liveTensors();
    KvShape shape = new KvShape(LAYERS, 2, 2, HEADS, DIM, DType.F32, SCALES);
    int tensors = 0;
    for (boolean made = false; !made; tensors++) {
      Backend exhausted = new ExhaustedBackend(BACKEND, tensors).backend();
      try (ObservedCache cache =
          new ObservedCache(exhausted, TestDevice.device(), shape, 1, (_, _) -> {})) {
        made = true;
      } catch (UserException e) {
        assertThat(BACKEND.liveTensors()).as("after %s tensors", tensors).isEqualTo(live);
      }
    }
    // The arena, an indicator and the last scale's keys and values at least.
    assertThat(tensors).isGreaterThan(3);
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
  }

  private static float[] values(Random random, int scale) {
    float[] values = new float[2 * HEADS * SCALES.tokens(scale) * DIM];
    for (int i = 0; i < values.length; i++) {
      values[i] = 2 * (float) random.nextGaussian();
    }
    return values;
  }

  private static Tensor tensor(float[] values, int scale) {
    return Tensor.of(BACKEND, values, 2, HEADS, SCALES.tokens(scale), DIM).to(TestDevice.device());
  }

  private static void naive(
      double[][][][] expected, float[] q, float[][][] keys, int target, int layer) {
    int tokens = SCALES.tokens(target);
    for (int h = 0; h < HEADS; h++) {
      for (int query = 0; query < tokens; query++) {
        double[] bySource = new double[target + 1];
        double total = 0;
        for (int s = 0; s <= target; s++) {
          for (int key = 0; key < SCALES.tokens(s); key++) {
            double score = 0;
            for (int d = 0; d < DIM; d++) {
              score +=
                  (double) q[(h * tokens + query) * DIM + d]
                      * keys[s][layer][(h * SCALES.tokens(s) + key) * DIM + d];
            }
            bySource[s] += Math.exp(score);
            total += Math.exp(score);
          }
        }
        for (int s = 0; s < target; s++) {
          expected[target][s][layer][h] += bySource[s] / total / tokens;
        }
      }
    }
  }
}
