package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.heatkv.resource.DiskCache;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** From CUDA source text to functions, at run time: NVRTC and the driver's module loader. */
final class CudaCompiler {
  // libtorch's own stub is linked to the NVRTC of its build and to the driver.
  private static final List<String> STUBS = List.of("libcaffe2_nvrtc.so", "caffe2_nvrtc.dll");

  // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
  private static final int MAX_SHARED_BYTES = 8;

  private final SymbolLookup symbols;
  private final KernelImages images;
  private final MethodHandle launch;

  /** NVRTC is missing or can't compile; the message says why. */
  static final class Unavailable extends Exception {
    private static final long serialVersionUID = 1L;

    Unavailable(String message) {
      super(message);
    }
  }

  /**
   * @param folder of libtorch's libraries
   */
  CudaCompiler(Path folder) throws Unavailable {
    symbols = open(folder);
    images = new KernelImages(new Nvrtc(symbols), new DiskCache("kernels"));
    launch =
        function(
            "cuLaunchKernelEx",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, ADDRESS, ADDRESS));
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

  static MemorySegment symbol(SymbolLookup symbols, String name) throws Unavailable {
    return symbols.find(name).orElseThrow(() -> new Unavailable("no function " + name));
  }

  private MethodHandle function(String name, FunctionDescriptor descriptor) throws Unavailable {
    return Linker.nativeLinker().downcallHandle(symbol(symbols, name), descriptor);
  }

  /**
   * Begins to compile source beside other work, see {@link #compile}.
   *
   * @param wanted for an architecture such as {@code sm_90}
   */
  void begin(KernelImages.Wanted wanted) {
    images.begin(wanted);
  }

  /** Compiles source and loads it into the current device. */
  Module compile(KernelImages.Wanted wanted) throws Unavailable {
    byte[] image = images.get(wanted);
    MemorySegment module = load(image);
    if (module == null) {
      module = load(images.anew(wanted));
    }
    if (module == null) {
      throw new Unavailable("the driver refused the compiled kernels");
    }
    return new Module(module);
  }

  private @Nullable MemorySegment load(byte[] image) throws Unavailable {
    MethodHandle load =
        function("cuModuleLoadData", FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(ADDRESS);
      int code = (int) load.invokeExact(out, arena.allocateFrom(JAVA_BYTE, image));
      return code == 0 ? out.get(ADDRESS, 0) : null;
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  /**
   * Queues a kernel.
   *
   * @param config of a {@link LaunchConfig}
   * @param parameters pointers to its arguments
   */
  int launch(MemorySegment kernel, MemorySegment config, MemorySegment parameters)
      throws Throwable {
    return (int) launch.invokeExact(config, kernel, parameters, MemorySegment.NULL);
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
