package io.heatkv.cli;

import io.heatkv.cli.console.Console;
import io.heatkv.error.Nearest;
import io.heatkv.error.UserException;
import io.heatkv.resource.Release;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.Parameters;

/** Prints a manual page: what the help of a command says, as man reads it. */
@Command(
    name = "man",
    description = "Prints the manual page of heatkv, or of one of its commands.",
    footer = {"  heatkv man generate | man -l -"})
final class ManCommand implements Runnable {
  private final Console console;

  @Parameters(arity = "0..1", paramLabel = "COMMAND", description = "Command to describe.")
  private @Nullable String command;

  ManCommand(Console console) {
    this.console = console;
  }

  @Override
  public void run() {
    CommandLine root = HeatKv.commandLine(console, List.of());
    if (command == null) {
      console.print(page(root.getCommandSpec()));
      return;
    }
    CommandLine named = root.getSubcommands().get(command);
    if (named == null) {
      throw new UserException(
          "command '%s' is unknown; did you mean %s?"
              .formatted(
                  command, Nearest.of(command, root.getSubcommands().keySet(), 1).getFirst()));
    }
    console.print(page(named.getCommandSpec()));
  }

  private static String page(CommandSpec spec) {
    String name = spec.qualifiedName("-");
    List<String> lines = new ArrayList<>();
    lines.add(
        ".TH %s 1 \"\" \"HeatKV %s\" \"HeatKV Manual\""
            .formatted(name.toUpperCase(Locale.ROOT).replace("-", "\\-"), Release.version()));
    // Words as they are: neither hyphenated nor stretched.
    lines.addAll(List.of(".nh", ".ad l", ".SH NAME"));
    String description = String.join(" ", spec.usageMessage().description());
    lines.add(escaped(name) + " \\- " + escaped(firstSentence(description)));
    lines.add(".SH SYNOPSIS");
    lines.add(escaped(spec.commandLine().getHelp().synopsis(0).replaceAll("\\s+", " ").strip()));
    List<PositionalParamSpec> parameters =
        spec.positionalParameters().stream().filter(each -> !each.hidden()).toList();
    List<OptionSpec> options = spec.options().stream().filter(each -> !each.hidden()).toList();
    lines.addAll(List.of(".SH DESCRIPTION", escaped(description), ".SH OPTIONS"));
    parameters.forEach(each -> item(lines, each.paramLabel(), each.description()));
    for (OptionSpec option : options) {
      String names = String.join(", ", option.names());
      boolean takesValue = option.arity().max() > 0;
      item(lines, takesValue ? names + " " + option.paramLabel() : names, option.description());
    }
    if (!spec.subcommands().isEmpty()) {
      lines.add(".SH COMMANDS");
      spec.subcommands()
          .forEach((each, line) ->
              item(
                  lines,
                  each,
                  firstSentence(
                      String.join(" ", line.getCommandSpec().usageMessage().description()))));
    }
    lines.add(".SH EXIT STATUS");
    item(lines, "0", "It is done.");
    item(lines, "1", "A fault of heatkv's own.");
    item(lines, "2", "Wrong input; the message says what to do.");
    item(lines, "130", "Interrupted.");
    if (spec.usageMessage().footer().length > 0) {
      lines.addAll(List.of(".SH EXAMPLES", ".nf"));
      Stream.of(spec.usageMessage().footer()).forEach(line -> lines.add(escaped(line.strip())));
      lines.add(".fi");
    }
    return String.join("\n", lines);
  }

  private static void item(List<String> lines, String term, String... text) {
    lines.addAll(List.of(".TP", "\\fB" + escaped(term) + "\\fR", escaped(String.join(" ", text))));
  }

  private static String firstSentence(String text) {
    int end = text.indexOf(". ");
    return end < 0 ? text : text.substring(0, end + 1);
  }

  /** As roff takes a line for text. */
  private static String escaped(String text) {
    StringBuilder letters = new StringBuilder();
    text.replace("\\", "\\e")
        .replace("-", "\\-")
        .replace("%n", " ")
        .codePoints()
        .forEach(c -> letters.append(c < 128 ? Character.toString(c) : "\\[u%04X]".formatted(c)));
    String escaped = letters.toString();
    return escaped.startsWith(".") || escaped.startsWith("'") ? "\\&" + escaped : escaped;
  }
}
