package io.heatkv.json;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import io.heatkv.error.UserException;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.UUID;

/** Writes JSON that people can read; the same content gives the same bytes on every machine. */
public final class JsonFile {
  private static final JsonFactory JSON = new JsonFactory();
  private static final DefaultIndenter LINES = new DefaultIndenter("  ", "\n");

  private JsonFile() {}

  /** Writes one document. */
  @FunctionalInterface
  public interface Content {
    void write(JsonGenerator json) throws IOException;
  }

  /** The document as text, each key of an object on a line of its own. */
  public static String text(Content content) {
    StringWriter text = new StringWriter();
    try (JsonGenerator json = JSON.createGenerator(text)) {
      json.setPrettyPrinter(new DefaultPrettyPrinter().withObjectIndenter(LINES));
      content.write(json);
    } catch (IOException e) {
      throw new UncheckedIOException("writing to memory can't fail", e);
    }
    return text.append('\n').toString();
  }

  /**
   * Writes a file, at first beside the target, so that the target is never half-written.
   *
   * @throws UserException if it can't be written
   */
  public static void write(Path target, Content content) {
    write(target, text(content));
  }

  /**
   * Writes a text likewise, as it is.
   *
   * @throws UserException if it can't be written
   */
  public static void write(Path target, String text) {
    // Not createTempFile, whose files only their owner can read.
    Path temporary = target.resolveSibling(".heatkv-" + UUID.randomUUID() + ".tmp");
    try {
      try {
        Files.writeString(temporary, text, StandardOpenOption.CREATE_NEW);
        Files.move(
            temporary, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      } finally {
        Files.deleteIfExists(temporary);
      }
    } catch (IOException e) {
      String reason = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
      throw new UserException(
          target + ": can't be written (" + reason + "); expected a file in a writable folder", e);
    }
  }
}
