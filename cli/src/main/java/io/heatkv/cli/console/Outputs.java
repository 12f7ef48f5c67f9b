package io.heatkv.cli.console;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;

/** Finds out before the work whether its result can be written. */
public final class Outputs {
  private Outputs() {}

  /**
   * @param example name of a file in the folder, for the message
   * @throws UserException if it is a folder
   */
  public static void requireFile(Path output, String example) {
    if (Files.isDirectory(output)) {
      throw new UserException(
          "output "
              + output
              + " is a folder; name a file in it such as "
              + output.resolve(example));
    }
  }

  /**
   * @param bytes that all files beside it together may take
   * @throws UserException if the folder is missing, can't be written or has too little space
   */
  public static void requireWritable(Path output, long bytes) {
    Path folder = Objects.requireNonNull(output.toAbsolutePath().getParent());
    if (!Files.isDirectory(folder)) {
      throw new UserException(
          "output " + output + ": folder " + folder + " does not exist; create it first");
    }
    try {
      Files.delete(Files.createTempFile(folder, ".heatkv-", ".tmp"));
      long free = folder.toFile().getUsableSpace();
      if (free < bytes) {
        throw new UserException(
            "output %s: %s are free in %s, up to %s are needed; free some space"
                .formatted(output, Sizes.text(free), folder, Sizes.text(bytes)));
      }
    } catch (IOException e) {
      throw new UserException(
          "output " + output + ": folder " + folder + " can't be written; choose another", e);
    }
  }
}
