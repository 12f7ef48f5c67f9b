package io.heatkv.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.TestDevice;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Attention in float32 to keys and values of any magnitude, beside float64. */
class AttentionMagnitudeTest {
  private static final Backend BACKEND = TestDevice.backend();
  private static final Device DEVICE = TestDevice.device();
  private static final int QUERIES = 70;
  private static final int KEYS = 200;

  /**
   * Scores of a few units, of large queries and small keys or the other way round.
   *
   * @param keys exponent of two of the keys, the inverse of the queries'
   * @param values that of the values
   * @param spread of the entries' exponents, beside each other
   */
  @ParameterizedTest
  @CsvSource({
    "16, 0, 0, 0",
    "32, 40, 0, 0",
    "32, -40, -60, 0",
    "64, 12, 60, 0",
    "128, -12, 20, 0",
    "32, 0, 0, 6",
    "64, -20, 30, 10",
    "128, 20, -30, 3",
  })
  void agreesWithFloat64(int dim, int keys, int values, int spread) {
    Random random = new Random(dim + 31L * keys);
    float[] q = random(random, QUERIES, dim, -keys, 0);
    float[] k = random(random, KEYS, dim, keys, Math.min(spread, 2));
    float[] v = random(random, KEYS, dim, values, spread);
    double scale = 1 / Math.sqrt(dim);
    double[] exact = attention(q, k, v, dim, scale);
    try (Scope _ = Scope.open()) {
      double[] out =
          BACKEND
              .ops(DEVICE)
              .attention(
                  Tensor.of(BACKEND, q, 1, 1, QUERIES, dim).to(DEVICE),
                  Tensor.of(BACKEND, k, 1, 1, KEYS, dim).to(DEVICE),
                  Tensor.of(BACKEND, v, 1, 1, KEYS, dim).to(DEVICE),
                  scale)
              .toDoubles();
      double difference = 0;
      double norm = 0;
      for (int i = 0; i < out.length; i++) {
        difference += (out[i] - exact[i]) * (out[i] - exact[i]);
        norm += exact[i] * exact[i];
      }
      assertThat(Math.sqrt(difference / norm)).isLessThan(1e-5);
    }
  }

  private static float[] random(Random random, int count, int dim, int exponent, int spread) {
    float[] x = new float[count * dim];
    for (int i = 0; i < count; i++) {
      int own = exponent + (spread == 0 ? 0 : random.nextInt(2 * spread + 1) - spread);
      for (int j = 0; j < dim; j++) {
        x[i * dim + j] = Math.scalb((float) random.nextGaussian(), own);
      }
    }
    return x;
  }

  private static double[] attention(float[] q, float[] k, float[] v, int dim, double scale) {
    double[] out = new double[QUERIES * dim];
    for (int i = 0; i < QUERIES; i++) {
      double[] scores = new double[KEYS];
      double largest = Double.NEGATIVE_INFINITY;
      for (int j = 0; j < KEYS; j++) {
        for (int c = 0; c < dim; c++) {
          scores[j] += scale * q[i * dim + c] * k[j * dim + c];
        }
        largest = Math.max(largest, scores[j]);
      }
      double total = 0;
      for (int j = 0; j < KEYS; j++) {
        double weight = Math.exp(scores[j] - largest);
        total += weight;
        for (int c = 0; c < dim; c++) {
          out[i * dim + c] += weight * v[j * dim + c];
        }
      }
      for (int c = 0; c < dim; c++) {
        out[i * dim + c] /= total;
      }
    }
    return out;
  }
}
