package io.heatkv.sample;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** A picture's noise depends on its seed, scale, token and bit alone. */
class BitNoiseTest {
  private static final int TOKENS = 40;
  private static final int BITS = 18;

  private static float[] noise(long seed, int scale, int tokens, int bits) {
    float[] out = new float[tokens * bits];
    BitNoise.fill(out, 0, seed, scale, tokens, bits);
    return out;
  }

  /** The upper 24 bits of Random123's known answers for counter and key zero and all ones. */
  @Test
  void scalesTheGeneratorsWords() {
    assertThat(noise(0, 0, 1, 4))
        .containsExactly(
            0x6627e8 / 16777216f, 0xe169c5 / 16777216f, 0xbc57ac / 16777216f, 0x9b00db / 16777216f);
  }

  @Test
  void placeInTheBatchDoesNotMatter() {
    float[] alone = noise(77, 5, TOKENS, BITS);
    float[] batch = new float[3 * alone.length];
    for (int image = 2; image >= 0; image--) {
      BitNoise.fill(batch, image * alone.length, 75 + image, 5, TOKENS, BITS);
    }
    assertThat(Arrays.copyOfRange(batch, 2 * alone.length, 3 * alone.length)).isEqualTo(alone);
  }

  @Test
  void fewerTokensOrBitsGetTheSameNumbers() {
    float[] all = noise(77, 5, TOKENS, BITS);
    assertThat(noise(77, 5, 7, BITS)).isEqualTo(Arrays.copyOf(all, 7 * BITS));
    float[] narrow = noise(77, 5, TOKENS, 5);
    for (int token = 0; token < TOKENS; token++) {
      for (int bit = 0; bit < 5; bit++) {
        assertThat(narrow[token * 5 + bit]).isEqualTo(all[token * BITS + bit]);
      }
    }
  }

  @Test
  void seedScaleTokenAndBitAllMatter() {
    Set<Float> first = new HashSet<>();
    Random random = new Random(3);
    for (int i = 0; i < 500; i++) {
      // Seeds that share a half must differ too.
      long seed = i % 2 == 0 ? (long) i << 32 : i;
      first.add(noise(seed, random.nextInt(13), 1, 1)[0]);
    }
    for (int scale = 0; scale < 13; scale++) {
      for (float value : noise(1L << 40, scale, 20, BITS)) {
        first.add(value);
      }
    }
    // 2^24 values: of 5,180 draws at most a few may coincide.
    assertThat(first).hasSizeGreaterThan(500 + 13 * 20 * BITS - 10);
  }

  @Test
  void numbersAreUniform() {
    float[] values = noise(20260101, 3, 4000, 16);
    double sum = 0;
    int[] tenths = new int[10];
    for (float value : values) {
      assertThat(value).isGreaterThanOrEqualTo(0).isLessThan(1);
      sum += value;
      tenths[(int) (value * 10)]++;
    }
    // Five standard deviations.
    assertThat(sum / values.length).isCloseTo(0.5, within(5 * Math.sqrt(1 / 12.0 / values.length)));
    for (int count : tenths) {
      assertThat((double) count)
          .isCloseTo(values.length / 10.0, within(5 * Math.sqrt(values.length * 0.09)));
    }
  }
}
