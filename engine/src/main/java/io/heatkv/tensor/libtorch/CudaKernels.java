package io.heatkv.tensor.libtorch;

import io.heatkv.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The kernels of {@code blocks.cu} for one type of activations. */
record CudaKernels(
    KernelLauncher launcher,
    MemorySegment addNorm,
    MemorySegment splitHeads,
    MemorySegment joinHeads,
    MemorySegment append,
    MemorySegment gatherSlots,
    MemorySegment scatterSlots) {
  static CudaKernels load(KernelLauncher launcher, DType dtype) throws CudaCompiler.Unavailable {
    CudaCompiler.Module module = launcher.load(wanted(launcher, dtype));
    return new CudaKernels(
        launcher,
        module.kernel("add_norm"),
        module.kernel("split_heads"),
        module.kernel("join_heads"),
        module.kernel("append"),
        module.kernel("gather_slots"),
        module.kernel("scatter_slots"));
  }

  /** What is compiled. */
  static KernelImages.Wanted wanted(KernelLauncher launcher, DType dtype) {
    return launcher.of(List.of("blocks.cu"), dtype);
  }

  /** See {@link KernelLauncher#launch}. */
  void launch(
      MemorySegment kernel, long gridX, long gridY, int threads, @Nullable Object... arguments) {
    launcher.launch(kernel, gridX, gridY, threads, arguments);
  }
}
