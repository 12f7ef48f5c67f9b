package io.heatkv.tensor.libtorch;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Asks the native libraries themselves, without the binding. */
final class NativeThreads {
  private NativeThreads() {}

  /** Threads of libtorch as the calling thread has them, and of OpenBLAS where there is one. */
  static List<Integer> of(LibTorchLocation location) {
    try (Arena arena = Arena.ofConfined()) {
      SymbolLookup library =
          SymbolLookup.libraryLookup(
              location.folder().resolve(NativePlatform.current().torchCpu()), arena);
      List<Integer> threads = new ArrayList<>();
      MemorySegment out = arena.allocate(ValueLayout.JAVA_INT);
      FunctionDescriptor getter = FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS);
      Object _ = link(library.findOrThrow("torch_get_num_threads"), getter).invoke(out);
      threads.add(out.get(ValueLayout.JAVA_INT, 0));
      MemorySegment openBlas = library.find("openblas_get_num_threads").orElse(MemorySegment.NULL);
      if (openBlas.address() != 0) {
        threads.add((int) link(openBlas, FunctionDescriptor.of(ValueLayout.JAVA_INT)).invoke());
      }
      return threads;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /** The process's environment variable as native code sees it. */
  static Optional<String> variable(String name) {
    Linker linker = Linker.nativeLinker();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment value =
          (MemorySegment)
              link(
                      linker.defaultLookup().findOrThrow("getenv"),
                      FunctionDescriptor.of(ValueLayout.ADDRESS, ValueLayout.ADDRESS))
                  .invoke(arena.allocateFrom(name));
      return value.address() == 0
          ? Optional.empty()
          : Optional.of(value.reinterpret(1 << 16).getString(0));
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  private static MethodHandle link(MemorySegment symbol, FunctionDescriptor descriptor) {
    return Linker.nativeLinker().downcallHandle(symbol, descriptor);
  }
}
