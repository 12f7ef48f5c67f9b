package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.invoke.MethodHandle;

/**
 * Makes glibc keep the memory that freed tensors leave, instead of giving it back and taking it
 * anew, page by page, for the next operator.
 */
final class HeapTuning {
  // Parameters of mallopt, from malloc.h.
  private static final int TRIM_THRESHOLD = -1;
  private static final int TOP_PAD = -2;
  private static final int MMAP_THRESHOLD = -3;
  private static final int ARENA_MAX = -8;

  private static final int LARGEST_MMAP_THRESHOLD = 32 << 20;
  private static final int PAD = 64 << 20;

  private HeapTuning() {}

  /** Sets the parameters; does nothing where the C library is not glibc. */
  static void apply() {
    Linker linker = Linker.nativeLinker();
    linker
        .defaultLookup()
        .find("mallopt")
        .ifPresent(symbol -> {
          MethodHandle mallopt =
              linker.downcallHandle(symbol, FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT));
          set(mallopt, ARENA_MAX, 1);
          set(mallopt, MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD);
          set(mallopt, TRIM_THRESHOLD, Integer.MAX_VALUE);
          set(mallopt, TOP_PAD, PAD);
        });
  }

  private static void set(MethodHandle mallopt, int parameter, int value) {
    try {
      int ignored = (int) mallopt.invokeExact(parameter, value);
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }
}
