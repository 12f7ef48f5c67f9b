package io.heatkv.cli.options;

import io.heatkv.error.UserException;
import io.heatkv.load.ModelDescription;
import io.heatkv.text.PositivePrompt;
import io.heatkv.text.PromptFiles;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** What to draw: prompts as arguments or from a file, or classes. */
public final class PromptOptions {
  @Parameters(paramLabel = "PROMPT", arity = "0..*", description = "What to draw.")
  List<String> prompts = new ArrayList<>();

  @Mixin private final ClassOptions classes = new ClassOptions();

  @Option(
      names = "--prompts",
      paramLabel = "FILE",
      description =
          "UTF-8 file with a prompt or class on each line; - is standard input. A line of a .jsonl file is"
              + " an object with a prompt, a caption, or captions, of which the first is taken.")
  @Nullable Path file;

  @Option(
      names = "--positive-prompt",
      description =
          "Add words for good faces to prompts that speak of persons, as the official tool does.")
  boolean positive;

  /** Whether any is named. */
  public boolean areGiven() {
    return file != null || !prompts.isEmpty() || !classes.all().isEmpty();
  }

  /**
   * At least one prompt, none blank.
   *
   * @throws UserException if there is none, or the file can't be read
   */
  public List<String> all() {
    List<String> texts = given();
    return positive ? texts.stream().map(PositivePrompt::of).toList() : texts;
  }

  /**
   * Checks that they are what a model draws.
   *
   * @throws UserException if one is not
   */
  public void requireOf(ModelDescription model, List<String> texts) {
    if (file == null || positive) {
      classes.require(model, !prompts.isEmpty() || positive);
    }
    texts.forEach(model::requirePrompt);
  }

  private List<String> given() {
    if (!classes.all().isEmpty()) {
      return classes.instead(file != null || !prompts.isEmpty() || positive);
    }
    if (file != null && !prompts.isEmpty()) {
      throw new UserException(
          "prompts are given as arguments and as file " + file + "; leave out one of them");
    }
    if (file != null) {
      return PromptFiles.read(file);
    }
    if (prompts.isEmpty()) {
      throw new UserException(
          "no prompt; say what to draw, such as \"a red apple, noto style emoji\"");
    }
    for (String text : prompts) {
      if (text.isBlank()) {
        throw new UserException("a prompt is blank; expected a text that says what to draw");
      }
      if (text.indexOf(0) >= 0) {
        throw new UserException("a prompt holds a NUL character; remove it");
      }
    }
    return prompts;
  }
}
