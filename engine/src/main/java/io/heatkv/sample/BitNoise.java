package io.heatkv.sample;

/**
 * A uniform number for every bit of a picture, the same on every device and for every batch.
 *
 * <p>Number {@code b} of token {@code n} at scale {@code t} is word {@code b mod 4} of Philox with
 * key {@code (low, high word of seed)} and counter {@code (b / 4, n, t, 0)}; its upper 24 bits are
 * scaled to [0, 1). This mapping is part of the format: a seed must draw the same picture in every
 * version.
 */
public final class BitNoise {
  private static final float UNIT = 0x1p-24f;

  private BitNoise() {}

  /**
   * Fills {@code out} from {@code start} with [tokens, bits] numbers, row by row.
   *
   * @param seed of the picture
   * @param scale index of the scale
   */
  public static void fill(float[] out, int start, long seed, int scale, int tokens, int bits) {
    int key0 = (int) seed;
    int key1 = (int) (seed >>> 32);
    int[] words = new int[4];
    for (int token = 0; token < tokens; token++) {
      int at = start + token * bits;
      for (int bit = 0; bit < bits; bit++) {
        if (bit % 4 == 0) {
          Philox.generate(bit / 4, token, scale, 0, key0, key1, words);
        }
        out[at + bit] = (words[bit % 4] >>> 8) * UNIT;
      }
    }
  }
}
