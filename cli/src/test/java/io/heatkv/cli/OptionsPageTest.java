package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.cli.console.Console;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;
import picocli.CommandLine.Help.Ansi;

/** docs/options.md is what the commands say of themselves. */
class OptionsPageTest {
  private static final Path PAGE = Path.of("../docs/options.md");

  /** A page that differs is written to target/options.md, to be looked at and taken. */
  @Test
  void thePageIsTheHelpOfAllCommands() throws Exception {
    Console console =
        new Console(
            new PrintWriter(new StringWriter()), new PrintWriter(new StringWriter()), false);
    StringBuilder page = new StringBuilder("# Options\n\nWhat `heatkv COMMAND --help` says.\n");
    HeatKv.commandLine(console, List.of())
        .getSubcommands()
        .forEach((name, command) ->
            page.append("\n## ")
                .append(name)
                .append("\n\n```\n")
                .append(help(command))
                .append("```\n"));
    Files.writeString(Path.of("target/options.md"), page);
    assertThat(page.toString()).as("see cli/target/options.md").isEqualTo(Files.readString(PAGE));
  }

  private static String help(CommandLine command) {
    // As wide as it is where there is no terminal.
    command.getCommandSpec().usageMessage().autoWidth(false).width(80);
    return command.getUsageMessage(Ansi.OFF).stripTrailing().replaceAll(" +\n", "\n") + "\n";
  }
}
