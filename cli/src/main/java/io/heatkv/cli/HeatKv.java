package io.heatkv.cli;

import io.heatkv.cli.commands.BenchCommand;
import io.heatkv.cli.commands.CalibrateCommand;
import io.heatkv.cli.commands.CompareCommand;
import io.heatkv.cli.commands.DoctorCommand;
import io.heatkv.cli.commands.EvaluateCommand;
import io.heatkv.cli.commands.GenerateCommand;
import io.heatkv.cli.commands.HeatmapCommand;
import io.heatkv.cli.commands.ImportCommand;
import io.heatkv.cli.commands.InspectCommand;
import io.heatkv.cli.commands.ScheduleCommand;
import io.heatkv.cli.commands.ServeCommand;
import io.heatkv.cli.commands.SparkConfCommand;
import io.heatkv.cli.commands.SynthCommand;
import io.heatkv.cli.commands.VerifyCommand;
import io.heatkv.cli.console.Advice;
import io.heatkv.cli.console.Console;
import io.heatkv.cli.console.Interruption;
import io.heatkv.cli.console.Version;
import io.heatkv.cli.options.WarmUp;
import io.heatkv.error.UserException;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.function.Function;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.RunLast;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.UnmatchedArgumentException;

/** The command without a subcommand, and how every command ends. */
@Command(
    name = "heatkv",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    scope = ScopeType.INHERIT,
    synopsisSubcommandLabel = "COMMAND",
    usageHelpAutoWidth = true,
    sortOptions = false,
    description = "Draws pictures with visual autoregressive models and a scheduled KV cache.",
    footerHeading = "%nExamples:%n",
    footer = {
      "  heatkv generate \"a red apple, noto style emoji\" -o apple.png",
      "  heatkv generate \"a red apple, noto style emoji\" -o apple.png --kv-budget 0.1",
      "  heatkv compare \"a red apple, noto style emoji\" -o compare.png",
      "  heatkv inspect apple.png",
      "  heatkv doctor"
    })
final class HeatKv implements Runnable {
  private static final int INTERNAL_ERROR = 1;
  private static final int USER_ERROR = 2;
  private static final int INTERRUPTED = 130;
  private static final List<String> VERSION = List.of("--version", "-V");

  private final Console console;

  @Option(
      names = "--debug",
      scope = ScopeType.INHERIT,
      description = "Print the stack trace of an error.")
  boolean debug;

  private HeatKv(Console console) {
    this.console = console;
  }

  @Override
  public void run() {
    commandLine(console, List.of()).usage(console.out());
  }

  /** Runs a command line and returns its exit status. */
  static int run(Console console, String... arguments) {
    int status;
    try {
      if (arguments.length > 1 && arguments[0].equals("generate")) {
        WarmUp.library(arguments);
      }
      status = commandLine(console, List.of(arguments)).execute(arguments);
    } catch (CancellationException _) {
      console.message("interrupted");
      status = INTERRUPTED;
    } catch (OutOfMemoryError | StackOverflowError | LinkageError e) {
      // The parser hands exceptions to failed(), but no errors.
      boolean ending = Interruption.isEnding();
      console.message(ending ? "interrupted" : "internal error: " + e);
      status = ending ? INTERRUPTED : INTERNAL_ERROR;
    }
    if (console.out().checkError() && status == 0) {
      console.message("standard output can't be written; expected a pipe or file with room");
      status = USER_ERROR;
    }
    console.err().flush();
    return status;
  }

  /** In the order of the help. */
  private static Map<String, Function<Console, Object>> commands() {
    Map<String, Function<Console, Object>> commands = new LinkedHashMap<>();
    commands.put("generate", GenerateCommand::new);
    commands.put("compare", CompareCommand::new);
    commands.put("serve", ServeCommand::new);
    commands.put("spark-conf", SparkConfCommand::new);
    commands.put("evaluate", EvaluateCommand::new);
    commands.put("calibrate", CalibrateCommand::new);
    commands.put("schedule", ScheduleCommand::new);
    commands.put("heatmap", HeatmapCommand::new);
    commands.put("inspect", InspectCommand::new);
    commands.put("import", ImportCommand::new);
    commands.put("synth", SynthCommand::new);
    commands.put("verify", VerifyCommand::new);
    commands.put("bench", BenchCommand::new);
    commands.put("doctor", DoctorCommand::new);
    commands.put("completion", CompletionCommand::new);
    commands.put("man", ManCommand::new);
    return commands;
  }

  /**
   * The parser.
   *
   * @param arguments if they begin with a command, it is the only one known, and if they ask for
   *     the version alone, none is: reading the options of all by reflection takes a quarter of a
   *     second
   */
  static CommandLine commandLine(Console console, List<String> arguments) {
    HeatKv root = new HeatKv(console);
    CommandLine line = new CommandLine(root);
    Map<String, Function<Console, Object>> commands = commands();
    if (!arguments.isEmpty()) {
      Function<Console, Object> named = commands.get(arguments.getFirst());
      if (named != null) {
        commands = Map.of(arguments.getFirst(), named);
      } else if (VERSION.containsAll(arguments)) {
        commands = Map.of();
      }
    }
    commands.forEach((name, command) -> line.addSubcommand(name, command.apply(console)));
    return WarmUp.strict(line)
        .setOut(console.out())
        .setErr(console.err())
        .setExecutionStrategy(HeatKv::execute)
        .setParameterExceptionHandler((e, _) -> root.misused(e))
        .setExecutionExceptionHandler((e, _, _) -> root.failed(e));
  }

  /** Refuses lists without an item, such as {@code --budgets ,}, which parse as empty. */
  private static int execute(ParseResult parsed) {
    for (CommandLine line : parsed.asCommandLineList()) {
      for (OptionSpec option : line.getParseResult().matchedOptions()) {
        if (option.getValue() instanceof Collection<?> items && items.isEmpty()) {
          throw new ParameterException(
              line, option.longestName() + " names no " + option.paramLabel());
        }
      }
    }
    return new RunLast().execute(parsed);
  }

  private int misused(ParameterException e) {
    // Converters report what a user can mend by the engine's own exception.
    if (e.getCause() instanceof UserException cause) {
      return failed(cause);
    }
    String hint = "see " + e.getCommandLine().getCommandSpec().qualifiedName() + " --help";
    if (e instanceof UnmatchedArgumentException unmatched) {
      List<String> suggestions = unmatched.getSuggestions();
      if (!suggestions.isEmpty()) {
        String first = suggestions.getFirst();
        hint = "did you mean " + first.replaceFirst("^heatkv ", "") + "? " + hint;
      }
    }
    console.message(e.getMessage() + "; " + hint);
    trace(e);
    return USER_ERROR;
  }

  private int failed(Exception failure) {
    Exception e =
        Interruption.isEnding() ? new CancellationException(failure.getMessage()) : failure;
    int status =
        switch (e) {
          case UserException _ -> USER_ERROR;
          case CancellationException _ -> INTERRUPTED;
          default -> INTERNAL_ERROR;
        };
    console.message(
        switch (e) {
          case UserException problem -> Advice.in(problem);
          case CancellationException _ -> "interrupted";
          default -> "internal error: " + e + "; --debug prints more";
        });
    trace(failure);
    return status;
  }

  private void trace(Exception e) {
    if (debug) {
      e.printStackTrace(console.err());
    }
  }
}
