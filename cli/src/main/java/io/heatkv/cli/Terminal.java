package io.heatkv.cli;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/** Asks the C library what Java doesn't tell. */
final class Terminal {
  private static final int STANDARD_ERROR = 2;

  private Terminal() {}

  /** Whether standard error is a terminal; false where it can't be told. */
  static boolean isStandardError() {
    Linker linker = Linker.nativeLinker();
    Optional<MemorySegment> isatty = linker.defaultLookup().find("isatty");
    if (isatty.isEmpty()) {
      return false;
    }
    try {
      FunctionDescriptor type = FunctionDescriptor.of(JAVA_INT, JAVA_INT);
      return (int) linker.downcallHandle(isatty.get(), type).invokeExact(STANDARD_ERROR) != 0;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }
}
