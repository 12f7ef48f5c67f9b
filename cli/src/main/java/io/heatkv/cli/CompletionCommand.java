package io.heatkv.cli;

import io.heatkv.cli.console.Console;
import java.util.List;
import picocli.AutoComplete;
import picocli.CommandLine.Command;

/** Prints a script that completes commands and options. */
@Command(
    name = "completion",
    description = "Prints a completion script for bash and zsh.",
    footer = "  source <(heatkv completion)")
final class CompletionCommand implements Runnable {
  private final Console console;

  CompletionCommand(Console console) {
    this.console = console;
  }

  @Override
  public void run() {
    console.print(
        AutoComplete.bash("heatkv", HeatKv.commandLine(console, List.of())).stripTrailing());
  }
}
