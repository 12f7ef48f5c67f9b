package io.heatkv.cli.options;

import io.heatkv.error.UserException;
import io.heatkv.load.ModelDescription;
import java.util.List;
import picocli.CommandLine.Option;

/** What to draw of a model that knows classes. */
public final class ClassOptions {
  @Option(
      names = "--class",
      paramLabel = "CLASS",
      description =
          "Instead of prompts, for a model that draws classes: the name or index of one; may be"
              + " given several times.")
  private List<String> classes = List.of();

  /** Those given, maybe none. */
  public List<String> all() {
    return classes;
  }

  /**
   * Those given.
   *
   * @param texts whether there are prompts, too
   * @throws UserException if there are, or a class is blank
   */
  public List<String> instead(boolean texts) {
    if (texts) {
      throw new UserException("--class takes the place of prompts; leave out one of them");
    }
    if (classes.stream().anyMatch(String::isBlank)) {
      throw new UserException("a class is blank; expected its name or index");
    }
    return classes;
  }

  /**
   * Checks that a model draws what is named.
   *
   * @param texts whether prompts are given
   * @throws UserException if they are and it draws classes, or the other way round
   */
  public void require(ModelDescription model, boolean texts) {
    if (model.isClassConditional() && texts) {
      throw new UserException(
          "model %s draws classes, not texts; name one with --class, such as --class %s"
              .formatted(model.name(), model.example()));
    }
    if (!model.isClassConditional() && !classes.isEmpty()) {
      throw new UserException(
          "model %s draws texts, not classes; give a prompt instead of --class"
              .formatted(model.name()));
    }
  }
}
