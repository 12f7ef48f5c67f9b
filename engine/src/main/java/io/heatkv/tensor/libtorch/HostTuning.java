package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Optional;

/**
 * Settings of the whole process under which libtorch is faster, on a busy machine by far, for a
 * process that does nothing else. {@link LibTorch} changes none of them; pictures are the same
 * without.
 *
 * <p>Variables that the user has set stay as they are. Elsewhere than on Linux and macOS nothing is
 * set.
 */
public final class HostTuning {
  // Parameters of mallopt, from malloc.h.
  private static final int TRIM_THRESHOLD = -1;
  private static final int TOP_PAD = -2;
  private static final int MMAP_THRESHOLD = -3;
  private static final int ARENA_MAX = -8;

  private static final int LARGEST_MMAP_THRESHOLD = 32 << 20;
  private static final int PAD = 64 << 20;
  private static final int SPINS = 1000;
  private static final int LOG2_CYCLES = 8;
  private static final int PRIMITIVES = 256;

  private static boolean applied;

  private HostTuning() {}

  /**
   * Tunes the process; to be called before libtorch is opened, which reads the variables. A second
   * call does nothing.
   */
  public static synchronized void apply() {
    if (applied) {
      return;
    }
    applied = true;
    keepFreedMemory();
    // OpenBLAS starts its threads when it is loaded, by its own count of processors.
    setDefault(Processor.cores(), MathThreads.OPENBLAS_VARIABLES);
    // Threads that spin for work keep those with work from a core, on a busy machine for long.
    setDefault(SPINS, "GOMP_SPINCOUNT");
    setDefault(LOG2_CYCLES, "OPENBLAS_THREAD_TIMEOUT");
    // What oneDNN keeps of shapes, 1024 by default, lies between tensors; a picture has 100.
    setDefault(PRIMITIVES, "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "DNNL_PRIMITIVE_CACHE_CAPACITY");
    // Whatever a CUDA library is asked for, fp32 means fp32.
    setDefault(0, "NVIDIA_TF32_OVERRIDE");
    // Freed memory of one size serves another: half a gigabyte less for a large model.
    setDefault("expandable_segments:True", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF");
  }

  /**
   * Ends the process where Java ends it, once all its hooks ran; to be called after libtorch was
   * opened. Its destructors free what ends with the process anyway. Only glibc takes such a wish.
   */
  public static void endEarly() {
    Linker linker = Linker.nativeLinker();
    Optional<MemorySegment> onExit = linker.defaultLookup().find("on_exit");
    Optional<MemorySegment> exit = linker.defaultLookup().find("_exit");
    if (onExit.isPresent() && exit.isPresent()) {
      MethodHandle register =
          linker.downcallHandle(onExit.get(), FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS));
      try {
        // Handlers run in reverse order, and are given the status.
        int ignored = (int) register.invokeExact(exit.get(), MemorySegment.NULL);
      } catch (Throwable e) {
        throw LibTorch.rethrow(e);
      }
    }
  }

  /**
   * Makes glibc keep the memory that freed tensors leave, instead of giving it back and taking it
   * anew, page by page, for the next operator.
   */
  private static void keepFreedMemory() {
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

  /** Sets the first of variables with one meaning, unless the user has set one of them. */
  private static void setDefault(Object value, String... names) {
    for (String name : names) {
      if (System.getenv(name) != null) {
        return;
      }
    }
    MethodHandle setenv =
        NativeLibraries.libc("setenv", FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_INT));
    try (Arena arena = Arena.ofConfined()) {
      int ignored =
          (int)
              setenv.invokeExact(
                  arena.allocateFrom(names[0]), arena.allocateFrom(value.toString()), 1);
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }
}
