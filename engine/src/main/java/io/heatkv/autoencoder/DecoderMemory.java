package io.heatkv.autoencoder;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import java.util.List;

/** What decoding a picture takes of a memory, told from sizes. */
public final class DecoderMemory {
  // What a library of the CPU turns around, and what its allocator keeps: by measurement.
  private static final int CPU_MAPS = 4;

  private DecoderMemory() {}

  /**
   * Bytes of the maps that live at the same time, of the level where they are most.
   *
   * @param baseChannels of the finest level
   * @param multipliers channels of each level over the base, finest first
   * @param pixels of the picture
   * @param dtype in which it is decoded; float32 on the CPU
   */
  public static long bytes(
      int baseChannels, List<Integer> multipliers, long pixels, Device device, DType dtype) {
    double maps = 0;
    for (int level = 0; level < multipliers.size(); level++) {
      int own = multipliers.get(level);
      int coarser = multipliers.get(Math.min(level + 1, multipliers.size() - 1));
      // A residual block's input beside two maps of its branch: that of the first is as wide as
      // the level before, and in its sum the input is projected.
      int block = Math.max(coarser + Math.max(coarser + own, 2 * own), 3 * own);
      // The enlarged map and what is convolved of it.
      int enlarging = 2 * coarser;
      maps = Math.max(maps, Math.max(block, enlarging) / Math.pow(4, level));
    }
    boolean onCpu = !device.isCuda();
    double all = onCpu ? maps + CPU_MAPS * multipliers.getFirst() : maps;
    return Math.round(all * pixels * baseChannels * (onCpu ? DType.F32 : dtype).bytes());
  }
}
