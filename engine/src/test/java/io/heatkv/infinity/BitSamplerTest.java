package io.heatkv.infinity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.TestDevice;
import io.heatkv.sample.ImageSeeds;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Guidance and sampling against closed forms in double. */
class BitSamplerTest {
  private final Backend backend = TestDevice.backend();

  private Tensor tensor(float[] values, long... shape) {
    return Tensor.of(backend, values, shape).to(TestDevice.device());
  }

  @Test
  void guidanceMixesThePicturesRowsAndTemperatureDivides() {
    long seed = 11;
    Random random = new Random(seed);
    for (int round = 0; round < 20; round++) {
      int batch = 1 + random.nextInt(3);
      int tokens = 1 + random.nextInt(5);
      int width = 2 * (1 + random.nextInt(4));
      double cfg = round == 0 ? 1 : 8 * random.nextDouble();
      double tau = round == 1 ? 1 : 0.2 + random.nextDouble();
      float[] logits = new float[2 * batch * tokens * width];
      for (int i = 0; i < logits.length; i++) {
        logits[i] = (float) (6 * random.nextGaussian());
      }
      float[] expected = new float[logits.length / 2];
      int picture = tokens * width;
      for (int i = 0; i < expected.length; i++) {
        int conditional = i / picture * 2 * picture + i % picture;
        float own = logits[conditional];
        expected[i] = (float) ((cfg * own + (1 - cfg) * logits[conditional + picture]) / tau);
      }
      try (Scope _ = Scope.open()) {
        Tensor guided = BitSampler.guided(tensor(logits, batch, 2, tokens, width), cfg, tau);
        assertThat(guided.shape()).containsExactly(batch, tokens, width);
        assertThat(guided.toFloats())
            .as("seed " + seed + " round " + round)
            .containsExactly(expected, within(2e-4f));
      }
    }
  }

  @Test
  void argmaxTakesZeroOfATie() {
    try (Scope _ = Scope.open()) {
      Tensor logits = tensor(new float[] {1, 2, 2, 1, 3, 3, -1, -0.5f}, 1, 2, 2, 2);
      assertThat(BitSampler.argmax(logits).toBytes()).containsExactly(1, 0, 0, 1);
    }
  }

  /** The uniform is put just below and just above what the two logits give in double. */
  @Test
  void bitIsOneBelowItsProbability() {
    long seed = 12;
    Random random = new Random(seed);
    int count = 2000;
    float[] logits = new float[4 * count];
    float[] uniforms = new float[2 * count];
    byte[] expected = new byte[2 * count];
    for (int i = 0; i < count; i++) {
      float zero = (float) (3 * random.nextGaussian());
      float one = (float) (3 * random.nextGaussian());
      double probability = 1 / (1 + Math.exp((double) zero - one));
      for (int side = 0; side < 2; side++) {
        int at = 2 * i + side;
        logits[2 * at] = zero;
        logits[2 * at + 1] = one;
        uniforms[at] = (float) (probability + (side == 0 ? -1e-5 : 1e-5));
        expected[at] = (byte) (side == 0 ? 1 : 0);
      }
    }
    try (Scope _ = Scope.open()) {
      Tensor bits =
          BitSampler.sample(
              tensor(logits, 1, 2 * count, 1, 2), tensor(uniforms, 1, 2 * count, 1), 1);
      assertThat(bits.toBytes()).as("seed " + seed).isEqualTo(expected);
    }
  }

  /**
   * Expected values are those of the reference's filter: the less likely bit goes when its
   * probability is at most 1 - topP, and of equal ones 0 goes. {@code chance} is what is left for
   * 1.
   */
  @ParameterizedTest
  @CsvSource({
    // ln(0.97 / 0.03) = 3.47610: the gap from which a bit is certain with topP 0.97
    "0.97, 3.4765, 1",
    "0.97, 3.4755, 0.9699821",
    "0.97, -3.4765, 0",
    "0.97, -3.4755, 0.0300179",
    "0.9, 0, 0.5",
    "0.5, 0.1, 1",
    "0.5, -0.1, 0",
    "0.5, 0, 1",
    "0.3, 0.4, 1",
    "0.3, -0.4, 0",
    "0.3, 0, 1",
    "1, 9, 0.9998766",
  })
  void nucleusFilterRemovesTheLessLikelyBit(double topP, float gap, double chance) {
    float[] uniforms = {0, (float) (chance - 1e-5), (float) (chance + 1e-5), 1 - 0x1p-24f};
    float[] logits = new float[8];
    byte[] expected = new byte[4];
    for (int i = 0; i < 4; i++) {
      logits[2 * i + 1] = gap;
      expected[i] = (byte) (uniforms[i] < chance ? 1 : 0);
    }
    try (Scope _ = Scope.open()) {
      Tensor bits = BitSampler.sample(tensor(logits, 1, 4, 1, 2), tensor(uniforms, 1, 4, 1), topP);
      assertThat(bits.toBytes()).isEqualTo(expected);
    }
  }

  @Test
  void seedsOfABatchAreTheFirstItselfAndThenDistinct() {
    assertThat(ImageSeeds.of(42, 0)).isEqualTo(42);
    // SplitMix64's first output for state 0, as its author's test program prints it.
    assertThat(ImageSeeds.of(0, 1)).isEqualTo(0xE220A8397B1DCDAFL & Long.MAX_VALUE);
    assertThat(ImageSeeds.of(0, 2)).isEqualTo(0x6E789E6AA1B965F4L);
  }
}
