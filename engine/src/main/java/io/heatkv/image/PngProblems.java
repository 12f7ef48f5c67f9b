package io.heatkv.image;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/** The wording of refusals: always one line. */
final class PngProblems {
  private PngProblems() {}

  static UserException of(Path file, String text) {
    return new UserException(line(file.toString()) + ": " + text);
  }

  static UserException damaged(Path file, String text) {
    return of(file, text + "; the picture is damaged or no PNG");
  }

  static UserException failed(Path file, String what, IOException cause) {
    return new UserException(line(file.toString()) + ": " + what + ": " + reason(cause), cause);
  }

  private static String reason(IOException cause) {
    return switch (cause) {
      case NoSuchFileException e -> "no such file or folder; check the path";
      case AccessDeniedException e -> "permission denied; check the rights of the file and folder";
      case FileSystemException e when e.getReason() != null -> line(e.getReason());
      default -> line(String.valueOf(cause.getMessage()));
    };
  }

  private static String line(String text) {
    return text.replaceAll("[\\p{Cntrl}\\x{80}-\\x{9f}\\u2028\\u2029]", "?");
  }
}
