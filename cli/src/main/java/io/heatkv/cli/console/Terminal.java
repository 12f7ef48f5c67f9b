package io.heatkv.cli.console;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.io.IOException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** Tells what Java doesn't tell. */
public final class Terminal {
  private static final int STANDARD_ERROR = 2;
  private static final Path LINUX = Path.of("/proc/self/fd", String.valueOf(STANDARD_ERROR));

  private Terminal() {}

  /** Whether standard error is a terminal; false where it can't be told. */
  public static boolean isStandardError() {
    // Linking a C function takes longer than all else that a short command does.
    try {
      return Files.readSymbolicLink(LINUX).toString().matches("/dev/(pts/.*|tty.*|console)");
    } catch (IOException _) {
      return isTerminal();
    }
  }

  private static boolean isTerminal() {
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
