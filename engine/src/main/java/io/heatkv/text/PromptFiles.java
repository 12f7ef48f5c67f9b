package io.heatkv.text;

import io.heatkv.error.UserException;
import io.heatkv.json.JsonObject;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Reads files of prompts: text with one on each line, JSON lines, or one JSON document, see {@link
 * CaptionFiles}.
 *
 * <p>A line of a {@code .jsonl} file is an object whose prompt is its {@code prompt}, else its
 * {@code caption}, else the first of its {@code captions}; other keys don't matter. Blank lines are
 * passed over in both.
 */
public final class PromptFiles {
  private static final int MOST_BYTES = 16 << 20;
  private static final Path STANDARD_INPUT = Path.of("-");

  private PromptFiles() {}

  /**
   * Reads a file; {@code -} is standard input, one prompt on each line.
   *
   * @return one prompt or more, none blank
   * @throws UserException if it can't be read, is larger than 16 MiB, not UTF-8, has no prompt, or
   *     a line without one
   */
  public static List<String> read(Path file) {
    if (file.toString().toLowerCase(Locale.ROOT).endsWith(".json")) {
      return CaptionFiles.read(file);
    }
    List<String> lines = text(file).lines().toList();
    boolean json = file.toString().toLowerCase(Locale.ROOT).endsWith(".jsonl");
    List<String> prompts = new ArrayList<>();
    for (int i = 0; i < lines.size(); i++) {
      String line = lines.get(i);
      if (!line.isBlank()) {
        String place = "prompt file " + file + ", line " + (i + 1);
        prompts.add(checked(place, json ? promptOf(place, line) : line));
      }
    }
    if (prompts.isEmpty()) {
      throw new UserException("prompt file " + file + " has no prompt; expected one on each line");
    }
    return prompts;
  }

  private static String promptOf(String place, String line) {
    JsonObject json = JsonObject.parse(Path.of(place), line);
    for (String key : List.of("prompt", "caption")) {
      if (json.has(key)) {
        return json.text(key);
      }
    }
    if (json.has("captions")
        && !json.list("captions").isEmpty()
        && json.list("captions").getFirst() instanceof String first) {
      return first;
    }
    throw new UserException(
        place + " has no prompt; expected a text as prompt or caption, or a list of captions");
  }

  static String checked(String place, String prompt) {
    if (prompt.isBlank()) {
      throw new UserException(
          place + " has a blank prompt; expected a text that says what to draw");
    }
    if (prompt.indexOf(0) >= 0) {
      throw new UserException(place + " holds a NUL character; remove it");
    }
    return prompt;
  }

  private static String text(Path file) {
    byte[] bytes;
    try {
      if (file.equals(STANDARD_INPUT)) {
        bytes = System.in.readNBytes(MOST_BYTES + 1);
      } else {
        if (!Files.isReadable(file) || Files.isDirectory(file)) {
          throw new UserException(
              "prompt file " + file + " can't be read; expected a text file with a prompt a line");
        }
        try (InputStream in = Files.newInputStream(file)) {
          bytes = in.readNBytes(MOST_BYTES + 1);
        }
      }
    } catch (IOException e) {
      throw new UserException("prompt file " + file + " can't be read: " + e.getMessage(), e);
    }
    if (bytes.length > MOST_BYTES) {
      throw new UserException("prompt file " + file + " is larger than 16 MiB; split it");
    }
    try {
      return StandardCharsets.UTF_8
          .newDecoder()
          .decode(ByteBuffer.wrap(bytes))
          .toString()
          // Some editors begin a file with a byte order mark.
          .replaceFirst("^\\uFEFF", "");
    } catch (CharacterCodingException e) {
      throw new UserException("prompt file " + file + " is not UTF-8; save it as UTF-8 text", e);
    }
  }
}
