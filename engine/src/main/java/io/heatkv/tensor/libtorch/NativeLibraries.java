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

/** Opens native libraries, each after those that it is linked to. */
final class NativeLibraries {
  private static final int RTLD_NOW = 2;
  private static final int RTLD_LOCAL_MAC = 4;

  private static final int LOG_ERRORS = 2;

  private NativeLibraries() {}

  /**
   * Opens the files of {@code location} in order, for the life of the process.
   *
   * @throws UserException naming the file that can't be opened and the loader's reason
   */
  static SymbolLookup open(LibTorchLocation location) {
    NativePlatform platform = NativePlatform.current();
    SymbolLookup all = name -> java.util.Optional.empty();
    for (String file : location.files()) {
      Path path = location.folder().resolve(file);
      load(path, platform, location.variable());
      all = open(path).or(all);
    }
    silenceWarnings(all);
    return all;
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

  /** Other libraries of the process, perhaps another libtorch, don't get to see its symbols. */
  private static void load(Path path, NativePlatform platform, String variable) {
    int flags = RTLD_NOW | (platform.isMac() ? RTLD_LOCAL_MAC : 0);
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

  /**
   * A function of the C library; the first native call of a process.
   *
   * @throws UserException if the process forbids native code
   */
  static MethodHandle libc(String name, FunctionDescriptor descriptor) {
    Linker linker = Linker.nativeLinker();
    try {
      return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), descriptor);
    } catch (IllegalCallerException e) {
      Module module = NativeLibraries.class.getModule();
      throw new UserException(
          "this process forbids native code; start java with --enable-native-access="
              + (module.isNamed() ? module.getName() + ",ai.djl.tokenizers" : "ALL-UNNAMED"),
          e);
    }
  }
}
