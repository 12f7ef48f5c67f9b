package io.heatkv.tensor.libtorch;

import io.heatkv.tensor.DType;
import java.lang.foreign.MemorySegment;

/** The kernels of {@code maps.cu} for one type of keys and values. */
record MapKernels(
    KernelLauncher launcher,
    MemorySegment decodeMaps,
    MemorySegment encodeMaps,
    MemorySegment quantise,
    MemorySegment dequantise) {
  static MapKernels load(KernelLauncher launcher, DType dtype) throws CudaCompiler.Unavailable {
    CudaCompiler.Module module = launcher.compile("maps.cu", dtype);
    return new MapKernels(
        launcher,
        module.kernel("decode_maps"),
        module.kernel("encode_maps"),
        module.kernel("quantise"),
        module.kernel("dequantise"));
  }
}
