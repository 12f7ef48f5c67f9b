package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;

import io.heatkv.error.UserException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/** The C library of this process, which the natives of Maven Central must fit. */
final class CLibrary {
  // What their libtorch_cpu.so asks for; a test reads it from there.
  static final Runtime.Version LEAST = Runtime.Version.parse("2.35");

  private static final String FUNCTION = "gnu_get_libc_version";

  private CLibrary() {}

  /**
   * @throws UserException where the natives of Maven Central can't be loaded
   */
  static void require(NativePlatform platform) {
    if (platform.isLinux()) {
      require(version());
    }
  }

  /** Version of glibc; none where the C library is another one, such as musl. */
  private static Optional<String> version() {
    if (Linker.nativeLinker().defaultLookup().find(FUNCTION).isEmpty()) {
      return Optional.empty();
    }
    try {
      MemorySegment text =
          (MemorySegment)
              NativeLibraries.libc(FUNCTION, FunctionDescriptor.of(ADDRESS)).invokeExact();
      return Optional.of(text.reinterpret(Long.MAX_VALUE).getString(0));
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  static void require(Optional<String> glibc) {
    if (glibc.isEmpty()) {
      throw new UserException(
          "this system's C library isn't glibc, which native code needs (Alpine Linux has musl); use a system or an image with glibc, such as debian:bookworm-slim");
    }
    Runtime.Version version =
        Runtime.Version.parse(glibc.get().replaceFirst("^(\\d+\\.\\d+).*", "$1"));
    if (version.compareTo(LEAST) < 0) {
      throw new UserException(
          "this system's glibc %s is older than %s, which native code needs; use Debian 12, Ubuntu 22.04 or newer, or name a libtorch that was built for it with %s"
              .formatted(glibc.get(), LEAST, LibTorchLocation.VARIABLE));
    }
  }
}
