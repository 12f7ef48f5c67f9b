package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.List;

/** NVRTC: from CUDA source text to machine code, without a device. Any threads may compile. */
final class Nvrtc implements KernelImages.Compiler {
  private final SymbolLookup symbols;

  Nvrtc(SymbolLookup symbols) {
    this.symbols = symbols;
  }

  /** Version such as 13.0. */
  @Override
  public String version() throws CudaCompiler.Unavailable {
    MethodHandle version =
        function("nvrtcVersion", FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment major = arena.allocate(JAVA_INT);
      MemorySegment minor = arena.allocate(JAVA_INT);
      check((int) version.invokeExact(major, minor));
      return major.get(JAVA_INT, 0) + "." + minor.get(JAVA_INT, 0);
    } catch (CudaCompiler.Unavailable e) {
      throw e;
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  /**
   * Compiles source.
   *
   * @param options of the compiler, the architecture among them
   * @return a cubin
   */
  @Override
  public byte[] compile(String source, List<String> options) throws CudaCompiler.Unavailable {
    try (Arena arena = Arena.ofConfined()) {
      return compile(arena, source, options);
    } catch (CudaCompiler.Unavailable e) {
      throw e;
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  private byte[] compile(Arena arena, String source, List<String> options) throws Throwable {
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
    check(
        (int)
            create.invokeExact(
                out,
                arena.allocateFrom(source),
                arena.allocateFrom("kernels.cu"),
                0,
                MemorySegment.NULL,
                MemorySegment.NULL));
    MemorySegment program = out.get(ADDRESS, 0);
    try {
      MemorySegment texts = arena.allocate(ADDRESS, options.size());
      for (int i = 0; i < options.size(); i++) {
        texts.setAtIndex(ADDRESS, i, arena.allocateFrom(options.get(i)));
      }
      int code = (int) compile.invokeExact(program, options.size(), texts);
      if (code != 0) {
        // The log is of use to whoever changes the kernels only.
        String log = content(arena, program, "nvrtcGetProgramLog").getString(0);
        throw new CudaCompiler.Unavailable(
            "NVRTC error %d for %s: %s"
                .formatted(code, options, log.lines().findFirst().orElse("")));
      }
      return content(arena, program, "nvrtcGetCUBIN").toArray(JAVA_BYTE);
    } finally {
      int ignored = (int) destroy.invokeExact(out);
    }
  }

  /** What a pair of functions NAMESize and NAME returns about a program. */
  private MemorySegment content(Arena arena, MemorySegment program, String name) throws Throwable {
    FunctionDescriptor descriptor = FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS);
    MemorySegment size = arena.allocate(JAVA_LONG);
    check((int) function(name + "Size", descriptor).invokeExact(program, size));
    MemorySegment content = arena.allocate(size.get(JAVA_LONG, 0));
    check((int) function(name, descriptor).invokeExact(program, content));
    return content;
  }

  private static void check(int code) throws CudaCompiler.Unavailable {
    if (code != 0) {
      throw new CudaCompiler.Unavailable("NVRTC error " + code);
    }
  }

  private MethodHandle function(String name, FunctionDescriptor descriptor)
      throws CudaCompiler.Unavailable {
    return Linker.nativeLinker().downcallHandle(CudaCompiler.symbol(symbols, name), descriptor);
  }
}
