package io.heatkv.sample;

import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Tensor;

/**
 * A uniform number for every bit, or other symbol, of a picture, the same on every device and for
 * every batch.
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

  /**
   * Numbers of several pictures.
   *
   * @param seeds one of each picture
   * @return [pictures, tokens, symbols], float32
   */
  public static Tensor uniforms(
      Backend backend, Device device, long[] seeds, int scale, int tokens, int symbols) {
    if (device.isCuda()) {
      Tensor drawn = Tensor.empty(backend, DType.F32, device, seeds.length, tokens, symbols);
      if (backend.ops(device).drawUniforms(drawn, seeds, scale)) {
        return drawn;
      }
    }
    float[] uniforms = new float[seeds.length * tokens * symbols];
    for (int i = 0; i < seeds.length; i++) {
      fill(uniforms, i * tokens * symbols, seeds[i], scale, tokens, symbols);
    }
    return Tensor.of(backend, uniforms, seeds.length, tokens, symbols).to(device);
  }
}
