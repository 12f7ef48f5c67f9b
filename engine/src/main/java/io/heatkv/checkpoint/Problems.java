package io.heatkv.checkpoint;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Collection;
import java.util.stream.Collectors;

/** The wording of refusals: always one line, of bounded length, whatever a hostile file holds. */
final class Problems {
  private static final int LONGEST_TEXT = 160;
  private static final int MOST_LISTED = 5;
  private static final int MOST_DIMENSIONS = 8;

  private Problems() {}

  static UserException of(Path file, String text) {
    return new UserException(clean(file.toString(), Integer.MAX_VALUE) + ": " + text);
  }

  /** For a file whose content contradicts the format. */
  static UserException damaged(Path file, String text) {
    return of(file, text + "; fetch or export the file again");
  }

  static UserException missing(Path file, String name) {
    return of(file, "has no tensor " + quote(name) + "; check that it is the right model file");
  }

  static UserException unreadable(Path file, IOException cause) {
    return new UserException(
        clean(file.toString(), Integer.MAX_VALUE) + ": cannot be read: " + reason(cause), cause);
  }

  static UserException unwritable(Path file, IOException cause) {
    return new UserException(
        clean(file.toString(), Integer.MAX_VALUE) + ": cannot be written: " + reason(cause), cause);
  }

  static String reason(IOException cause) {
    return switch (cause) {
      case NoSuchFileException e -> "no such file or folder; check the path";
      case AccessDeniedException e -> "permission denied; check the rights of the file and folder";
      case FileSystemException e when e.getReason() != null -> quiet(e.getReason());
      default -> {
        String text = quiet(String.valueOf(cause.getMessage()));
        yield text.startsWith("No space left") ? text + "; free some space and try again" : text;
      }
    };
  }

  /** A name from a file, in quotes, without control characters and cut if long. */
  static String quote(String name) {
    return "'" + quiet(name) + "'";
  }

  static String quiet(String text) {
    return clean(text, LONGEST_TEXT);
  }

  static String shape(long[] shape) {
    StringBuilder text = new StringBuilder("[");
    for (int i = 0; i < Math.min(shape.length, MOST_DIMENSIONS); i++) {
      text.append(i == 0 ? "" : ", ").append(shape[i]);
    }
    return text.append(shape.length > MOST_DIMENSIONS ? ", ...]" : "]").toString();
  }

  /** A handful of items, then how many more there are. */
  static String list(Collection<String> items) {
    String head = items.stream().limit(MOST_LISTED).collect(Collectors.joining(", "));
    int more = items.size() - MOST_LISTED;
    return more > 0 ? head + " and " + more + " more" : head;
  }

  private static String clean(String text, int longest) {
    StringBuilder out = new StringBuilder();
    int[] points = text.codePoints().limit(longest + 1L).toArray();
    for (int i = 0; i < Math.min(points.length, longest); i++) {
      int type = Character.getType(points[i]);
      boolean breaksTheLine =
          Character.isISOControl(points[i])
              || type == Character.LINE_SEPARATOR
              || type == Character.PARAGRAPH_SEPARATOR
              || type == Character.FORMAT
              || type == Character.SURROGATE;
      if (breaksTheLine) {
        out.append(String.format("\\u%04x", points[i]));
      } else {
        out.appendCodePoint(points[i]);
      }
    }
    return points.length > longest ? out.append("...").toString() : out.toString();
  }
}
