package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** What is asked of the CUDA runtime that a CUDA build of libtorch brings along. */
final class CudaRuntime {
  /** More than any version's cudaDeviceProp takes; it begins with 256 bytes of name. */
  private static final long PROPERTIES = 16 << 10;

  private CudaRuntime() {}

  /** Names of all devices; none where there is no driver. */
  static List<String> deviceNames(StableAbi abi) {
    List<String> names = new ArrayList<>();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment count = arena.allocate(JAVA_INT);
      int code =
          (int)
              abi.function("cudaGetDeviceCount", FunctionDescriptor.of(JAVA_INT, ADDRESS))
                  .invokeExact(count);
      MemorySegment properties = arena.allocate(PROPERTIES, 8);
      for (int i = 0; code == 0 && i < count.get(JAVA_INT, 0); i++) {
        int ignored =
            (int)
                abi.function(
                        "cudaGetDeviceProperties",
                        FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT))
                    .invokeExact(properties, i);
        names.add(properties.getString(0));
      }
      return names;
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }
}
