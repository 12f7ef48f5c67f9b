package io.heatkv.cli.options;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/** Options that aren't given, from the environment, else from a file. */
public final class Defaults {
  private static final Set<String> OF_EVERY_COMMAND = Set.of("help", "version", "debug", "config");

  private Defaults() {}

  /**
   * Arguments that stand for what isn't given.
   *
   * @param prefix of variables, such as {@code HEATKV_SERVE_}
   * @param file of properties named as the options are
   * @throws UserException if the file can't be read or has a key that is no option
   */
  public static List<String> arguments(
      CommandSpec command, String prefix, Map<String, String> environment, Optional<Path> file) {
    Map<String, OptionSpec> options =
        command.options().stream()
            .collect(
                Collectors.toMap(
                    option -> option.longestName().replaceFirst("^--", ""),
                    option -> option,
                    (a, _) -> a,
                    TreeMap::new));
    options.keySet().removeAll(OF_EVERY_COMMAND);
    Map<String, String> values = new TreeMap<>();
    file.ifPresent(path -> read(path, options.keySet(), values));
    for (String name : options.keySet()) {
      String value = environment.get(prefix + name.replace('-', '_').toUpperCase(Locale.ROOT));
      if (value != null) {
        values.put(name, value);
      }
    }
    List<String> arguments = new ArrayList<>();
    values.forEach((name, value) -> {
      boolean given =
          command.commandLine().getParseResult().matchedOptionsSet().contains(options.get(name));
      if (!given) {
        arguments.add("--" + name + "=" + value);
      }
    });
    return arguments;
  }

  private static void read(Path file, Set<String> names, Map<String, String> values) {
    Properties properties = new Properties();
    try (Reader in = Files.newBufferedReader(file, StandardCharsets.UTF_8)) {
      properties.load(in);
    } catch (IOException | IllegalArgumentException e) {
      throw new UserException(
          file + ": can't be read; expected lines such as port=8080 in UTF-8", e);
    }
    for (String name : properties.stringPropertyNames()) {
      if (!names.contains(name)) {
        throw new UserException(
            file + ": '" + name + "' is unknown; known: " + String.join(", ", names));
      }
      values.put(name, properties.getProperty(name).strip());
    }
  }
}
