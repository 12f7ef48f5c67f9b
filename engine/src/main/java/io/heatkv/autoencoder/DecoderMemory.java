package io.heatkv.autoencoder;

import io.heatkv.tensor.Device;
import java.util.List;

/** What decoding a picture takes of a memory, told from sizes. */
public final class DecoderMemory {
  // By measurement, of its channels at the finest level.
  private static final int MAPS = 12;
  private static final int CUDA_MAPS = 8;

  private DecoderMemory() {}

  /**
   * Bytes of the finest level: a residual block takes up to twelve maps of its channels, on CUDA
   * eight; the convolution on the enlarged map before it half as many of the next level's.
   *
   * @param baseChannels of the finest level
   * @param multipliers channels of each level over the base, finest first
   * @param pixels of the picture
   */
  public static long bytes(
      int baseChannels, List<Integer> multipliers, long pixels, Device device) {
    int maps = device.isCuda() ? CUDA_MAPS : MAPS;
    int next = multipliers.size() > 1 ? maps / 2 * multipliers.get(1) : 0;
    return Math.max(maps * multipliers.getFirst(), next) * pixels * baseChannels * Float.BYTES;
  }
}
