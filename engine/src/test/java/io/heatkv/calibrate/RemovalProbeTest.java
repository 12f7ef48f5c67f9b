package io.heatkv.calibrate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.TestDevice;
import io.heatkv.cache.KvShape;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.Random;
import java.util.function.IntPredicate;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Removal costs of an observed run beside naive float64 attention with scales left out. */
class RemovalProbeTest {
  private static final Backend BACKEND = TestDevice.backend();
  // The last two scales have more tokens than are sampled.
  private static final ScaleGrids SCALES = ScaleGrids.parse("1x1,2x2,3x2,4x4,5x6,9x8,13x9");
  private static final int LAYERS = 2;
  private static final int HEADS = 3;
  private static final int DIM = 4;

  // [scale][layer][2 heads tokens dim]
  private final float[][][] q = new float[SCALES.count()][LAYERS][];
  private final float[][][] k = new float[SCALES.count()][LAYERS][];
  private final float[][][] v = new float[SCALES.count()][LAYERS][];

  @ParameterizedTest
  @CsvSource({"0,0", "1,0", "2,0", "0,1048576", "1,1048576", "2,1048576"})
  void measuresTheConditionalRow(int sinkScales, long mostBytes) {
    long live = BACKEND.liveTensors();
    Random random = new Random(sinkScales);
    KvShape shape = new KvShape(LAYERS, 2, 2, HEADS, DIM, DType.F32, SCALES);
    double[][][] measured;
    try (ObservedCache cache =
        new ObservedCache(
            BACKEND, TestDevice.device(), shape, sinkScales, (_, _) -> {}, false, mostBytes)) {
      for (int t = 0; t < SCALES.count(); t++) {
        for (int l = 0; l < LAYERS; l++) {
          q[t][l] = alike(values(random, t), t);
          k[t][l] = values(random, t);
          v[t][l] = values(random, t);
          try (Scope _ = Scope.open()) {
            cache.attend(l, t, tensor(q[t][l], t), tensor(k[t][l], t), tensor(v[t][l], t));
          }
        }
      }
      measured = cache.removalCosts();
    }
    for (int s = sinkScales; s < SCALES.count() - 1; s++) {
      for (int l = 0; l < LAYERS; l++) {
        for (int h = 0; h < HEADS; h++) {
          assertThat(measured[s][l][h])
              .as("source %s layer %s head %s", s, l, h)
              .isCloseTo(cost(sinkScales, s, l, h), within(1e-4));
        }
      }
    }
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
  }

  private double cost(int sinkScales, int source, int layer, int head) {
    double sum = 0;
    int queries = 0;
    for (int t = sinkScales + 1; t < SCALES.count(); t++) {
      int target = t;
      for (int query = 0; query < SCALES.tokens(t); query++, queries++) {
        if (t <= source) {
          continue;
        }
        double[] whole = output(t, layer, head, query, s -> true);
        double[] smaller =
            output(t, layer, head, query, s -> s < Math.max(sinkScales, source) || s == target);
        double[] joined =
            output(t, layer, head, query, s -> s < sinkScales || s <= source || s == target);
        double[] others = output(t, layer, head, query, s -> s != source);
        sum += (square(whole, smaller) - square(whole, joined) + square(whole, others)) / 2;
      }
    }
    return sum / queries;
  }

  private double[] output(int target, int layer, int head, int query, IntPredicate seen) {
    double[] output = new double[DIM];
    double total = 0;
    for (int s = 0; s <= target; s++) {
      for (int key = 0; seen.test(s) && key < SCALES.tokens(s); key++) {
        double score = 0;
        for (int d = 0; d < DIM; d++) {
          score +=
              (double) q[target][layer][index(target, head, query, d)]
                  * k[s][layer][index(s, head, key, d)];
        }
        total += Math.exp(score);
        for (int d = 0; d < DIM; d++) {
          output[d] += Math.exp(score) * v[s][layer][index(s, head, key, d)];
        }
      }
    }
    for (int d = 0; d < DIM; d++) {
      output[d] /= total;
    }
    return output;
  }

  private static int index(int scale, int head, int token, int channel) {
    return (head * SCALES.tokens(scale) + token) * DIM + channel;
  }

  private static double square(double[] a, double[] b) {
    double sum = 0;
    for (int d = 0; d < DIM; d++) {
      sum += (a[d] - b[d]) * (a[d] - b[d]) / DIM;
    }
    return sum;
  }

  private static float[] values(Random random, int scale) {
    float[] values = new float[2 * HEADS * SCALES.tokens(scale) * DIM];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  /** Equal queries in scales of which only some are sampled, so that it doesn't matter which. */
  private static float[] alike(float[] values, int scale) {
    for (int i = 0; SCALES.tokens(scale) > 64 && i < values.length; i++) {
      int channels = SCALES.tokens(scale) * DIM;
      values[i] = values[i / channels * channels + i % DIM];
    }
    return values;
  }

  private static Tensor tensor(float[] values, int scale) {
    return Tensor.of(BACKEND, values, 2, HEADS, SCALES.tokens(scale), DIM).to(TestDevice.device());
  }
}
