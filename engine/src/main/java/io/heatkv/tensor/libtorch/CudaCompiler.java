package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** NVRTC and the driver's module loader: from CUDA source text to functions, at run time. */
final class CudaCompiler {
  // libtorch's own stub is linked to the NVRTC of its build and to the driver.
  private static final List<String> STUBS = List.of("libcaffe2_nvrtc.so", "caffe2_nvrtc.dll");

  private final SymbolLookup symbols;
  // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
  private static final int MAX_SHARED_BYTES = 8;

  private final MethodHandle launch;

  /** NVRTC is missing or can't compile; the message says why. */
  static final class Unavailable extends Exception {
    private static final long serialVersionUID = 1L;

    Unavailable(String message) {
      super(message);
    }
  }

  CudaCompiler(Path folder) throws Unavailable {
    symbols = open(folder);
    launch =
        function(
            "cuLaunchKernel",
            FunctionDescriptor.of(
                JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT,
                JAVA_INT, ADDRESS, ADDRESS, ADDRESS));
  }

  private static SymbolLookup open(Path folder) throws Unavailable {
    for (String stub : STUBS) {
      if (Files.isRegularFile(folder.resolve(stub))) {
        try {
          return SymbolLookup.libraryLookup(folder.resolve(stub), Arena.global());
        } catch (IllegalArgumentException e) {
          throw new Unavailable(stub + " can't be opened");
        }
      }
    }
    throw new Unavailable("no NVRTC beside libtorch");
  }

  private MethodHandle function(String name, FunctionDescriptor descriptor) throws Unavailable {
    MemorySegment symbol =
        symbols.find(name).orElseThrow(() -> new Unavailable("no function " + name));
    return Linker.nativeLinker().downcallHandle(symbol, descriptor);
  }

  /**
   * Compiles source for an architecture, such as {@code sm_90}, and loads it into the current
   * device.
   */
  Module compile(String source, String architecture, String... defines) throws Unavailable {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment image = image(arena, source, architecture, defines);
      MemorySegment out = arena.allocate(ADDRESS);
      int code =
          (int)
              function("cuModuleLoadData", FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS))
                  .invokeExact(out, image);
      if (code != 0) {
        throw new Unavailable("the driver refused the compiled kernels (error " + code + ")");
      }
      return new Module(out.get(ADDRESS, 0));
    } catch (Unavailable e) {
      throw e;
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  private MemorySegment image(Arena arena, String source, String architecture, String... defines)
      throws Throwable {
    MethodHandle create =
        function(
            "nvrtcCreateProgram",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, ADDRESS, JAVA_INT, ADDRESS, ADDRESS));
    MethodHandle compile =
        function(
            "nvrtcCompileProgram", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, ADDRESS));
    MethodHandle destroy =
        function("nvrtcDestroyProgram", FunctionDescriptor.of(JAVA_INT, ADDRESS));
    MemorySegment out = arena.allocate(ADDRESS);
    int code =
        (int)
            create.invokeExact(
                out,
                arena.allocateFrom(source),
                arena.allocateFrom("kernels.cu"),
                0,
                MemorySegment.NULL,
                MemorySegment.NULL);
    if (code != 0) {
      throw new Unavailable("NVRTC error " + code);
    }
    MemorySegment program = out.get(ADDRESS, 0);
    MemorySegment options = arena.allocate(ADDRESS, defines.length + 1);
    options.set(ADDRESS, 0, arena.allocateFrom("--gpu-architecture=" + architecture));
    for (int i = 0; i < defines.length; i++) {
      options.setAtIndex(ADDRESS, i + 1, arena.allocateFrom("-D" + defines[i]));
    }
    code = (int) compile.invokeExact(program, defines.length + 1, options);
    if (code != 0) {
      // The log is of use to whoever changes the kernels only.
      String log = text(arena, program, "nvrtcGetProgramLog").getString(0);
      throw new Unavailable(
          "NVRTC error "
              + code
              + " for "
              + architecture
              + ": "
              + log.lines().findFirst().orElse(""));
    }
    MemorySegment image = text(arena, program, "nvrtcGetCUBIN");
    int ignored = (int) destroy.invokeExact(out);
    return image;
  }

  /** What a pair of functions NAMESize and NAME returns about a program. */
  private MemorySegment text(Arena arena, MemorySegment program, String name) throws Throwable {
    FunctionDescriptor descriptor = FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS);
    MemorySegment size = arena.allocate(JAVA_LONG);
    int sized = (int) function(name + "Size", descriptor).invokeExact(program, size);
    MemorySegment content = arena.allocate(size.get(JAVA_LONG, 0));
    int filled = (int) function(name, descriptor).invokeExact(program, content);
    if (sized != 0 || filled != 0) {
      throw new Unavailable(name + " failed");
    }
    return content;
  }

  /**
   * Queues a kernel.
   *
   * @param shared bytes of shared memory besides what its source declares
   * @param parameters pointers to its arguments
   */
  int launch(
      MemorySegment kernel,
      int gridX,
      int gridY,
      int threads,
      int shared,
      MemorySegment stream,
      MemorySegment parameters)
      throws Throwable {
    return (int)
        launch.invokeExact(
            kernel, gridX, gridY, 1, threads, 1, 1, shared, stream, parameters, MemorySegment.NULL);
  }

  /** Loaded kernels; they stay for the life of the process. */
  final class Module {
    private final MemorySegment handle;

    private Module(MemorySegment handle) {
      this.handle = handle;
    }

    /** A kernel that is queued with so many bytes of shared memory at most. */
    MemorySegment kernel(String name, int shared) throws Unavailable {
      MemorySegment kernel = kernel(name);
      MethodHandle set =
          function(
              "cuFuncSetAttribute", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT));
      try {
        int code = (int) set.invokeExact(kernel, MAX_SHARED_BYTES, shared);
        if (code != 0) {
          throw new Unavailable(shared + " bytes of shared memory are too much for " + name);
        }
      } catch (Unavailable e) {
        throw e;
      } catch (Throwable e) {
        throw LibTorch.rethrow(e);
      }
      return kernel;
    }

    MemorySegment kernel(String name) throws Unavailable {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment out = arena.allocate(ADDRESS);
        int code =
            (int)
                function(
                        "cuModuleGetFunction",
                        FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, ADDRESS))
                    .invokeExact(out, handle, arena.allocateFrom(name));
        if (code != 0) {
          throw new Unavailable("no kernel " + name);
        }
        return out.get(ADDRESS, 0);
      } catch (Unavailable e) {
        throw e;
      } catch (Throwable e) {
        throw LibTorch.rethrow(e);
      }
    }
  }
}
