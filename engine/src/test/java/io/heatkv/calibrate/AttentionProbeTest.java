package io.heatkv.calibrate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.TestDevice;
import io.heatkv.cache.KvShape;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.schedule.PromptStatistics;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Statistics of an observed run beside naive float64 sums over the first row. */
class AttentionProbeTest {
  private static final Backend BACKEND = TestDevice.backend();
  private static final ScaleGrids SCALES = ScaleGrids.parse("1x1,2x3,4x4,4x4");
  private static final int LAYERS = 3;
  private static final int HEADS = 3;
  private static final int DIM = 4;

  /** Layers one by one, two and then one, and all together. */
  @ParameterizedTest
  @ValueSource(longs = {0, 20_000, 1 << 20})
  void measuresTheConditionalRow(long mostBytes) {
    long live = BACKEND.liveTensors();
    Random random = new Random(3);
    KvShape shape = new KvShape(LAYERS, 2, 2, HEADS, DIM, DType.F32, SCALES);
    float[][][] q = new float[4][LAYERS][];
    float[][][] k = new float[4][LAYERS][];
    PromptStatistics measured;
    try (ObservedCache cache =
        new ObservedCache(BACKEND, TestDevice.device(), shape, 0, (_, _) -> {}, true, mostBytes)) {
      for (int t = 0; t < 4; t++) {
        for (int l = 0; l < LAYERS; l++) {
          q[t][l] = values(random, t);
          k[t][l] = values(random, t);
          try (Scope _ = Scope.open()) {
            Tensor key = tensor(k[t][l], t);
            cache.attend(l, t, tensor(q[t][l], t), key, key);
          }
        }
      }
      measured = cache.statistics().orElseThrow();
    }
    check(measured, q, k);
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
  }

  private static void check(PromptStatistics measured, float[][][] q, float[][][] k) {
    for (int l = 0; l < LAYERS; l++) {
      double distance = 0;
      for (int t = 1; t < 4; t++) {
        double[][][] attention = attention(q, k, t, l);
        assertThat(measured.selectivity()[t][l])
            .as("scale %s layer %s", t, l)
            .isCloseTo(selectivity(attention, SCALES.offset(t)), within(1e-5));
        distance += distance(k[t - 1][l], k[t][l], t);
        if (t == 3) {
          for (int h = 0; h < HEADS; h++) {
            assertThat(measured.variance()[l][h]).isCloseTo(variance(attention[h]), within(1e-5));
          }
        }
      }
      assertThat(measured.distance()[l]).isCloseTo(distance / 3, within(1e-5));
    }
  }

  private static float[] values(Random random, int scale) {
    float[] values = new float[2 * HEADS * SCALES.tokens(scale) * DIM];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private static Tensor tensor(float[] values, int scale) {
    return Tensor.of(BACKEND, values, 2, HEADS, SCALES.tokens(scale), DIM).to(TestDevice.device());
  }

  /** Probabilities [head][query][key] of the first row. */
  private static double[][][] attention(float[][][] q, float[][][] k, int scale, int layer) {
    int tokens = SCALES.tokens(scale);
    double[][][] attention = new double[HEADS][tokens][SCALES.offset(scale + 1)];
    for (int h = 0; h < HEADS; h++) {
      for (int query = 0; query < tokens; query++) {
        double total = 0;
        for (int s = 0; s <= scale; s++) {
          for (int key = 0; key < SCALES.tokens(s); key++) {
            double score = 0;
            for (int d = 0; d < DIM; d++) {
              score +=
                  (double) q[scale][layer][(h * tokens + query) * DIM + d]
                      * k[s][layer][(h * SCALES.tokens(s) + key) * DIM + d];
            }
            attention[h][query][SCALES.offset(s) + key] = Math.exp(score);
            total += Math.exp(score);
          }
        }
        for (int key = 0; key < attention[h][query].length; key++) {
          attention[h][query][key] /= total;
        }
      }
    }
    return attention;
  }

  private static double selectivity(double[][][] attention, int history) {
    double current = 0;
    double most = 0;
    int count = 0;
    for (double[][] head : attention) {
      for (double[] query : head) {
        current += Arrays.stream(query, history, query.length).sum();
        double[] sorted = Arrays.copyOf(query, history);
        Arrays.sort(sorted);
        most += Arrays.stream(sorted, Math.max(0, history - 16), history).sum();
        count++;
      }
    }
    return current / count * most / count;
  }

  private static double variance(double[][] queries) {
    double sum = 0;
    for (int key = 0; key < queries[0].length; key++) {
      int column = key;
      double mean = Arrays.stream(queries).mapToDouble(query -> query[column]).average().orElse(0);
      sum +=
          Arrays.stream(queries)
              .mapToDouble(query -> Math.pow(query[column] - mean, 2))
              .average()
              .orElse(0);
    }
    return sum;
  }

  private static double distance(float[] before, float[] now, int scale) {
    ScaleSize size = SCALES.size(scale);
    double difference = 0;
    double squares = 0;
    for (int h = 0; h < HEADS; h++) {
      for (int token = 0; token < size.tokens(); token++) {
        for (int d = 0; d < DIM; d++) {
          double fine = now[(h * size.tokens() + token) * DIM + d];
          double old =
              enlarged(
                  before,
                  SCALES.size(scale - 1),
                  size,
                  h,
                  token / size.width(),
                  token % size.width(),
                  d);
          difference += (fine - old) * (fine - old);
          squares += fine * fine + old * old;
        }
      }
    }
    return difference / squares;
  }

  /** Bilinear between the centres of the coarse tokens, constant outside them. */
  private static double enlarged(
      float[] keys, ScaleSize from, ScaleSize to, int head, int row, int column, int channel) {
    double y = Math.clamp((row + 0.5) * from.height() / to.height() - 0.5, 0, from.height() - 1);
    double x = Math.clamp((column + 0.5) * from.width() / to.width() - 0.5, 0, from.width() - 1);
    double sum = 0;
    for (int r = 0; r < from.height(); r++) {
      for (int c = 0; c < from.width(); c++) {
        double weight = Math.max(0, 1 - Math.abs(y - r)) * Math.max(0, 1 - Math.abs(x - c));
        sum += weight * keys[((head * from.height() + r) * from.width() + c) * DIM + channel];
      }
    }
    return sum;
  }
}
