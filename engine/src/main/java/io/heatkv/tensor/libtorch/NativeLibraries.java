package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.heatkv.error.UserException;
import io.heatkv.resource.JniLibrary;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.List;

/** Opens native libraries so that they see each other's symbols. */
final class NativeLibraries {
  private static final int RTLD_NOW = 2;
  private static final int RTLD_GLOBAL_LINUX = 0x100;
  private static final int RTLD_GLOBAL_MAC = 8;

  private static final int LOG_ERRORS = 2;
  private static final int SPINS = 1000;
  private static final int LOG2_CYCLES = 8;
  private static final List<String> THREAD_VARIABLES =
      List.of("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS");

  private static final List<String> ALLOCATOR_VARIABLES =
      List.of("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF");
  private static final String TENSOR_FLOAT_32 = "NVIDIA_TF32_OVERRIDE";

  private NativeLibraries() {}

  /**
   * Opens the files of {@code location} in order, for the life of the process.
   *
   * @param threads of the math libraries, or 0 for one a core
   * @throws UserException naming the file that can't be opened and the loader's reason
   */
  static SymbolLookup open(LibTorchLocation location, int threads) {
    NativePlatform platform = NativePlatform.current();
    if (!platform.isWindows()) {
      prepareEnvironment(threads);
      if (location.hasCuda()) {
        prepareCuda();
      }
      HeapTuning.apply();
    }
    SymbolLookup all = name -> java.util.Optional.empty();
    for (String file : location.files()) {
      Path path = location.folder().resolve(file);
      if (platform.isWindows()) {
        all = open(path).or(all);
      } else {
        openGlobally(path, platform, location.variable());
        all = open(path).or(all);
      }
    }
    silenceWarnings(all);
    return all;
  }

  /** The libraries read these variables when they are loaded; a user's own values stay. */
  private static void prepareEnvironment(int threads) {
    if (threads > 0) {
      THREAD_VARIABLES.forEach(name -> setEnvironment(name, threads));
    } else if (System.getenv("OMP_NUM_THREADS") == null) {
      // libtorch's own guess is one thread where it can't read the processor's topology.
      THREAD_VARIABLES.forEach(name -> setEnvironment(name, Processor.cores()));
    }
    // Threads that spin for work keep those with work from a core, on a busy machine for long.
    setDefault("GOMP_SPINCOUNT", SPINS);
    setDefault("OPENBLAS_THREAD_TIMEOUT", LOG2_CYCLES);
  }

  private static void setDefault(String name, int value) {
    if (System.getenv(name) == null) {
      setEnvironment(name, value);
    }
  }

  private static void prepareCuda() {
    // fp32 means fp32: convolutions would round their inputs to 10 bits of mantissa.
    setDefault(TENSOR_FLOAT_32, 0);
    if (ALLOCATOR_VARIABLES.stream().allMatch(name -> System.getenv(name) == null)) {
      // Freed memory of one size serves another: half a gigabyte less for a large model.
      setEnvironment(ALLOCATOR_VARIABLES.getFirst(), "expandable_segments:True");
    }
  }

  /** Warnings about parts that a processor lacks don't help a user; errors reach us as such. */
  private static void silenceWarnings(SymbolLookup libraries) {
    libraries
        .find("FLAGS_caffe2_log_level")
        .ifPresent(level -> level.reinterpret(JAVA_INT.byteSize()).set(JAVA_INT, 0, LOG_ERRORS));
  }

  private static SymbolLookup open(Path path) {
    try {
      return SymbolLookup.libraryLookup(path, Arena.global());
    } catch (IllegalArgumentException e) {
      throw new UserException("native library " + path + " can't be opened: " + e.getMessage(), e);
    }
  }

  private static void openGlobally(Path path, NativePlatform platform, String variable) {
    int flags = RTLD_NOW | (platform.isMac() ? RTLD_GLOBAL_MAC : RTLD_GLOBAL_LINUX);
    MethodHandle dlopen = libc("dlopen", FunctionDescriptor.of(ADDRESS, ADDRESS, JAVA_INT));
    MethodHandle dlerror = libc("dlerror", FunctionDescriptor.of(ADDRESS));
    try (Arena arena = Arena.ofConfined()) {
      // Its first call makes the JVM look up symbols, which would erase the reason.
      MemorySegment ignored = (MemorySegment) dlerror.invokeExact();
      MemorySegment library =
          (MemorySegment) dlopen.invokeExact(arena.allocateFrom(path.toString()), flags);
      if (library.address() == 0) {
        MemorySegment reason = (MemorySegment) dlerror.invokeExact();
        throw new UserException(
            JniLibrary.refusal(
                path,
                reason.address() == 0
                    ? "no reason given"
                    : reason.reinterpret(Long.MAX_VALUE).getString(0),
                variable));
      }
    } catch (UserException e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  private static void setEnvironment(String name, Object value) {
    MethodHandle setenv =
        libc("setenv", FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_INT));
    try (Arena arena = Arena.ofConfined()) {
      int ignored =
          (int)
              setenv.invokeExact(arena.allocateFrom(name), arena.allocateFrom(value.toString()), 1);
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /** A function of the C library. */
  static MethodHandle libc(String name, FunctionDescriptor descriptor) {
    Linker linker = Linker.nativeLinker();
    return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), descriptor);
  }
}
