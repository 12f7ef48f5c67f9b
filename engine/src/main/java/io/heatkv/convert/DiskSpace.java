package io.heatkv.convert;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.Stream;

/** Checks that a folder has room before hours are spent on filling it. */
public final class DiskSpace {
  private DiskSpace() {}

  /**
   * @param bytes of all files that will be in the folder in the end, those of an earlier run
   *     included
   * @throws UserException with the numbers if they don't fit, or the folder can't be made
   */
  public static void require(Path folder, long bytes) {
    try {
      Files.createDirectories(folder);
      long there;
      try (Stream<Path> files = Files.walk(folder)) {
        there = files.filter(Files::isRegularFile).mapToLong(file -> file.toFile().length()).sum();
      }
      long free = folder.toFile().getUsableSpace();
      if (bytes - there > free) {
        throw new UserException(
            "%s: needs %s GiB more, %s GiB are free; free some space or name another folder"
                .formatted(folder, gib(bytes - there), gib(free)));
      }
    } catch (IOException e) {
      throw new UserException(
          folder
              + ": can't be made a folder ("
              + Objects.toString(e.getMessage(), "").lines().findFirst().orElse("")
              + "); name a folder that can be written",
          e);
    }
  }

  private static String gib(long bytes) {
    return String.format(Locale.ROOT, "%.2f", bytes / (double) (1L << 30));
  }
}
