package io.heatkv.cli;

import io.heatkv.error.UserException;
import io.heatkv.text.PositivePrompt;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** What to draw: prompts as arguments or from a file. */
final class PromptOptions {
  private static final int MOST_BYTES = 16 << 20;

  @Parameters(paramLabel = "PROMPT", arity = "0..*", description = "What to draw.")
  List<String> prompts = new ArrayList<>();

  @Option(
      names = "--prompts",
      paramLabel = "FILE",
      description = "UTF-8 file with a prompt on each line; - is standard input.")
  @Nullable Path file;

  @Option(
      names = "--positive-prompt",
      description =
          "Add words for good faces to prompts that speak of persons, as the official tool does.")
  boolean positive;

  /**
   * At least one prompt, none blank.
   *
   * @throws UserException if there is none, or the file can't be read
   */
  List<String> all() {
    if (file != null && !prompts.isEmpty()) {
      throw new UserException(
          "prompts are given as arguments and as file " + file + "; leave out one of them");
    }
    List<String> texts = file == null ? prompts : read(file);
    if (texts.isEmpty()) {
      throw new UserException(
          file == null
              ? "no prompt; say what to draw, such as \"a red apple, noto style emoji\""
              : "prompt file " + file + " has no prompt; expected one on each line");
    }
    for (String text : texts) {
      if (text.isBlank()) {
        throw new UserException("a prompt is blank; expected a text that says what to draw");
      }
      if (text.indexOf(0) >= 0) {
        throw new UserException("a prompt holds a NUL character; remove it");
      }
    }
    return positive ? texts.stream().map(PositivePrompt::of).toList() : texts;
  }

  private static List<String> read(Path file) {
    byte[] bytes;
    try {
      if (file.toString().equals("-")) {
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
          .replaceFirst("^\\uFEFF", "")
          .lines()
          .filter(line -> !line.isBlank())
          .toList();
    } catch (CharacterCodingException e) {
      throw new UserException("prompt file " + file + " is not UTF-8; save it as UTF-8 text", e);
    }
  }
}
