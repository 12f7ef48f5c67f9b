package io.heatkv.cli.options;

import io.heatkv.cli.console.Console;
import io.heatkv.error.UserException;
import io.heatkv.eval.config.EvaluationConfig;
import io.heatkv.eval.config.Preset;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Which file of prompts serves which evaluation. */
public final class PromptSources {
  @Option(
      names = "--prompts",
      paramLabel = "FILE",
      description =
          "UTF-8 file with a prompt on each line, JSON lines, or JSON such as COCO's captions."
              + " With --config: SET=FILE, once for each of its sets; FILE alone is of the first."
              + " Default: the prompts that were held out of the model's training.")
  private List<String> files = List.of();

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description =
          "YAML file that names sets of prompts, policies, budgets and published figures, such as"
              + " eval/paper-infinity-2b.yaml; options win over it.")
  private @Nullable Path config;

  /**
   * One evaluation.
   *
   * @param preset what holds where no option says otherwise
   * @param file of its prompts, if one is named
   */
  public record Source(Preset preset, Optional<Path> file) {}

  /** The file of --config. */
  public Optional<Path> config() {
    return Optional.ofNullable(config);
  }

  /**
   * All evaluations that can be done, at least one.
   *
   * @param console is told of sets without a file
   * @throws UserException if the config can't be read, or a file is named for no set of it
   */
  public List<Source> all(Console console) {
    if (config == null) {
      if (files.size() > 1) {
        throw new UserException(
            files.size() + " files of prompts are named; expected one, or --config with sets");
      }
      return List.of(new Source(Preset.standard(), files.stream().findFirst().map(Path::of)));
    }
    EvaluationConfig sets = EvaluationConfig.read(config);
    Map<String, Path> named = named(sets);
    List<Source> sources = new ArrayList<>();
    for (Preset set : sets.sets()) {
      Path file = named.get(set.name());
      if (file != null) {
        sources.add(new Source(set, Optional.of(file)));
      } else {
        console.message(
            "set %s (%s) is left out; name its prompts with --prompts %s=FILE"
                .formatted(set.name(), set.title(), set.name()));
      }
    }
    return sources;
  }

  private Map<String, Path> named(EvaluationConfig sets) {
    Map<String, Path> named = new LinkedHashMap<>();
    List<String> names = sets.sets().stream().map(Preset::name).toList();
    for (String text : files) {
      int sign = text.indexOf('=');
      String name = sign > 0 ? text.substring(0, sign) : "";
      if (names.contains(name)) {
        named.put(name, Path.of(text.substring(sign + 1)));
      } else if (!name.isEmpty() && !Files.exists(Path.of(text))) {
        throw new UserException(
            "config %s has no set '%s'; expected one of %s"
                .formatted(config, name, String.join(", ", names)));
      } else if (named.put(names.getFirst(), Path.of(text)) != null) {
        throw new UserException(
            "prompts "
                + text
                + " are of no set; expected SET=FILE with one of "
                + String.join(", ", names));
      }
    }
    if (named.isEmpty()) {
      throw new UserException(
          "config %s needs prompts; name them with --prompts SET=FILE for %s"
              .formatted(config, String.join(", ", names)));
    }
    return named;
  }
}
