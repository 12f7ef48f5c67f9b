package io.heatkv.tensor.libtorch;

import io.heatkv.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** The kernels of {@code levels.cu} for one number of a head's channels. */
record LevelKernels(
    KernelLauncher launcher,
    MemorySegment entries,
    MemorySegment parts,
    MemorySegment companies,
    MemorySegment costs) {
  /** Whether there are kernels for heads of so many channels: powers of two. */
  static boolean takes(int dim) {
    return Integer.bitCount(dim) == 1 && dim >= 16 && dim <= 128;
  }

  static LevelKernels load(KernelLauncher launcher, int dim) throws CudaCompiler.Unavailable {
    CudaCompiler.Module module =
        launcher.load(
            launcher.of(
                List.of("stored.cu", "tile.cu", "levels.cu"),
                DType.F16,
                "DIM=" + dim,
                "EXACT_WEIGHTS"));
    return new LevelKernels(
        launcher,
        module.kernel("level_entries"),
        module.kernel("level_parts"),
        module.kernel("level_companies"),
        module.kernel("level_costs"));
  }
}
