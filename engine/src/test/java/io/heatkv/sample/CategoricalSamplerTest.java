package io.heatkv.sample;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.TestDevice;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Choices by hand and against a naive version in double. */
class CategoricalSamplerTest {
  // ln of 1, 4, 2, 2, 1: probabilities 0.1, 0.4, 0.2, 0.2, 0.1.
  private static final float[] LOGITS = logs(1, 4, 2, 2, 1);

  private final Backend backend = TestDevice.backend();
  private long live;

  @BeforeEach
  void count() {
    live = backend.liveTensors();
  }

  @AfterEach
  void allTensorsAreFreed() {
    assertThat(backend.liveTensors()).isEqualTo(live);
  }

  private static float[] logs(double... weights) {
    float[] logs = new float[weights.length];
    for (int i = 0; i < logs.length; i++) {
      logs[i] = (float) Math.log(weights[i]);
    }
    return logs;
  }

  private Tensor tensor(float[] values, long... shape) {
    return Tensor.of(backend, values, shape).to(TestDevice.device());
  }

  private int sample(float[] logits, double uniform, int topK, double topP) {
    try (Scope _ = Scope.open()) {
      Tensor uniforms = tensor(new float[] {(float) uniform}, 1, 1, 1);
      return CategoricalSampler.sample(tensor(logits, 1, 1, 1, logits.length), uniforms, topK, topP)
          .toInts()[0];
    }
  }

  @ParameterizedTest
  @CsvSource({
    // Nothing is filtered: sums 0.1, 0.5, 0.7, 0.9, 1.
    "0, 5, 1, 0",
    "0.09, 5, 1, 0",
    "0.11, 5, 1, 1",
    "0.49, 5, 1, 1",
    "0.51, 5, 1, 2",
    "0.71, 5, 1, 3",
    "0.91, 5, 1, 4",
    "0.99999994, 5, 1, 4",
    "0.99999994, 99, 1, 4",
    // Of the best two the second has an equal, which stays: sums 0, 0.5, 0.75, 1.
    "0, 2, 1, 1",
    "0.49, 2, 1, 1",
    "0.51, 2, 1, 2",
    "0.76, 2, 1, 3",
    "0.99999994, 2, 1, 3",
    // The best alone.
    "0, 1, 1, 1",
    "0.99999994, 1, 1, 1",
    "0, 5, 0.01, 1",
    "0.99999994, 5, 0.01, 1",
    // 1 - topP rounds to 1, which is all of the probability.
    "0.5, 5, 1e-9, 1",
    // From the least on 0.1, 0.2, 0.4: at most 0.25 drops both tenths, at most 0.45 the first
    // fifth too, of equal ones the one that comes first.
    "0, 5, 0.75, 1",
    "0.51, 5, 0.75, 2",
    "0.99999994, 5, 0.75, 3",
    "0, 5, 0.55, 1",
    "0.66, 5, 0.55, 1",
    "0.67, 5, 0.55, 3",
    // What top-k left is all of the probability: 0.25, 0.25, 0.5.
    "0.66, 3, 0.7, 1",
    "0.67, 3, 0.7, 3"
  })
  void theUniformIsLookedUpInWhatTheFiltersLeave(
      double uniform, int topK, double topP, int expected) {
    assertThat(sample(LOGITS, uniform, topK, topP)).isEqualTo(expected);
  }

  /** Of four equal choices two have exactly the half that may be dropped. */
  @Test
  void whatHasExactlyTheRestIsDropped() {
    assertThat(sample(logs(1, 1, 1, 1), 0, 4, 0.5)).isEqualTo(2);
  }

  @Test
  void argmaxTakesTheFirstOfATie() {
    try (Scope _ = Scope.open()) {
      Tensor logits = tensor(new float[] {1, 3, 3, 5, 5, -1, -2, -1, -1}, 1, 3, 1, 3);
      assertThat(CategoricalSampler.argmax(logits).toInts()).containsExactly(1, 0, 1);
    }
  }

  @Test
  void aBatchChoosesWhatItsSymbolsChooseAloneAndANaiveVersion() {
    long seed = 20261126;
    Random random = new Random(seed);
    for (int round = 0; round < 40; round++) {
      int symbols = 1 + random.nextInt(30);
      int choices = 2 + random.nextInt(40);
      int topK = 1 + random.nextInt(choices);
      double topP = round % 4 == 0 ? 1 : 0.05 + 0.95 * random.nextDouble();
      float[] logits = new float[symbols * choices];
      float[] uniforms = new float[symbols];
      for (int i = 0; i < logits.length; i++) {
        // Few values, so that many are equal.
        logits[i] = random.nextInt(9) / 2f;
      }
      for (int i = 0; i < symbols; i++) {
        uniforms[i] = random.nextFloat();
      }
      int[] chosen;
      int[] inParts;
      try (Scope _ = Scope.open()) {
        chosen =
            CategoricalSampler.sample(
                    tensor(logits, 1, symbols, 1, choices),
                    tensor(uniforms, 1, symbols, 1),
                    topK,
                    topP)
                .toInts();
        inParts =
            CategoricalSampler.sample(
                    tensor(logits, symbols, 1, choices),
                    tensor(uniforms, symbols, 1),
                    topK,
                    topP,
                    3L * choices)
                .toInts();
      }
      for (int i = 0; i < symbols; i++) {
        float[] own = Arrays.copyOfRange(logits, i * choices, (i + 1) * choices);
        assertThat(chosen[i])
            .isEqualTo(inParts[i])
            .as("seed %d round %d symbol %d", seed, round, i)
            .isEqualTo(sample(own, uniforms[i], topK, topP))
            .isEqualTo(naive(own, uniforms[i], topK, topP));
      }
    }
  }

  private static int naive(float[] logits, double uniform, int topK, double topP) {
    double[] weights = new double[logits.length];
    double least = sortedLogits(logits)[logits.length - topK];
    double sum = 0;
    for (int i = 0; i < weights.length; i++) {
      weights[i] = logits[i] < least ? 0 : Math.exp(logits[i]);
      sum += weights[i];
    }
    int[] ascending =
        IntStream.range(0, weights.length)
            .boxed()
            .sorted(Comparator.comparingDouble(i -> weights[i]))
            .mapToInt(i -> i)
            .toArray();
    double dropped = 0;
    for (int i = 0; i < ascending.length - 1 && topP < 1; i++) {
      dropped += weights[ascending[i]];
      if (dropped / sum > 1 - topP) {
        break;
      }
      weights[ascending[i]] = 0;
    }
    double target = uniform * Arrays.stream(weights).sum();
    double reached = 0;
    for (int i = 0; i < weights.length; i++) {
      reached += weights[i];
      if (reached > target) {
        return i;
      }
    }
    throw new AssertionError("a uniform is below 1");
  }

  private static double[] sortedLogits(float[] logits) {
    return IntStream.range(0, logits.length).mapToDouble(i -> logits[i]).sorted().toArray();
  }
}
