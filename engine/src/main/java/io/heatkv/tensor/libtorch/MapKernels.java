package io.heatkv.tensor.libtorch;

import io.heatkv.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The kernels of stored maps for one type of keys and values and one number of a head's channels.
 *
 * @param attendStored of {@code attention.cu}, decoding as it reads; null where there are no tensor
 *     cores for the type or the heads
 * @param attendTiles of {@code wide.cu}; null but on Hopper with heads of 128 channels in 16 bits
 * @param multiprocessors of the device
 */
record MapKernels(
    KernelLauncher launcher,
    MemorySegment copyMaps,
    MemorySegment decodeTiles,
    MemorySegment encodeMaps,
    MemorySegment quantise,
    MemorySegment dequantise,
    @Nullable MemorySegment attendStored,
    @Nullable MemorySegment attendTiles,
    int multiprocessors) {
  private static final int HOPPER = 90;
  private static final int WIDE_DIM = 128;

  /**
   * Shared memory of {@code attend_tiles}: two tiles of queries, of keys and of values, what keys
   * count, barriers and what aligns them.
   */
  static final int TILES_BYTES = 6 * 128 * WIDE_DIM * 2 + 2 * 128 * Float.BYTES + 96 + 1024;

  static MapKernels load(
      KernelLauncher launcher, @Nullable SmallAttention attention, DType dtype, int dim)
      throws CudaCompiler.Unavailable {
    String channels = "DIM=" + dim;
    KernelImages.Wanted small = launcher.of(List.of("stored.cu", "maps.cu"), dtype, channels);
    KernelImages.Wanted encoding = launcher.of(List.of("stored.cu", "encode.cu"), dtype, channels);
    KernelImages.Wanted wide = launcher.ofChip(List.of("stored.cu", "wide.cu"), dtype, channels);
    boolean isWide =
        attention != null
            && SmallAttention.takes(dtype, dim)
            && launcher.capability() == HOPPER
            && dim == WIDE_DIM;
    launcher.begin(encoding);
    launcher.begin(small);
    if (isWide) {
      launcher.begin(wide);
    }
    MemorySegment stored = attention == null ? null : attention.stored(dtype, dim);
    CudaCompiler.Module maps = launcher.load(small);
    return new MapKernels(
        launcher,
        maps.kernel("copy_maps"),
        maps.kernel("decode_tiles"),
        launcher.load(encoding).kernel("encode_maps"),
        maps.kernel("quantise"),
        maps.kernel("dequantise"),
        stored,
        isWide ? launcher.load(wide).kernel("attend_tiles", TILES_BYTES) : null,
        launcher.multiprocessors());
  }
}
