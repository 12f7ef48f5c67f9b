package io.heatkv.cli.options;

import io.heatkv.image.Png;
import io.heatkv.image.PngImage;
import io.heatkv.load.ModelDescription;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;

/** What a first picture will need, begun before it is asked for. */
public final class WarmUp {
  private WarmUp() {}

  /**
   * Begins to open libtorch before the other options are read, which takes as long as a small
   * scale. Where it fails, opening it again says why.
   *
   * @param arguments of a command that draws
   */
  public static void library(String... arguments) {
    LibraryOptions options = new LibraryOptions();
    CommandLine parser = strict(new CommandLine(options)).setUnmatchedArgumentsAllowed(true);
    parser.getCommandSpec().mixinStandardHelpOptions(true);
    try {
      ParseResult parsed = parser.parseArgs(arguments);
      if (!parsed.isUsageHelpRequested() && !parsed.isVersionHelpRequested()) {
        LibraryOpening.start(options);
      }
    } catch (ParameterException _) {
      // The parser of all options says so.
    }
  }

  /** Arguments are what they are: a prompt may begin with an at sign. */
  public static CommandLine strict(CommandLine line) {
    return line.setUseSimplifiedAtFiles(false).setExpandAtFiles(false);
  }

  /** Loads the classes of the model and of PNG while another thread opens libtorch. */
  public static void start(ModelDescription model) {
    Thread.ofPlatform().daemon().name("warm-up").start(() -> run(model));
  }

  private static void run(ModelDescription model) {
    try {
      byte[] _ = Png.encode(new PngImage(1, 1, new byte[3]), List.of());
      model.warmUp();
    } catch (RuntimeException _) {
      // The engine meets the same file and says so.
    }
  }
}
