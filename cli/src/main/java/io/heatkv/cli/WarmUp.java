package io.heatkv.cli;

import io.heatkv.image.Png;
import io.heatkv.image.PngImage;
import io.heatkv.load.ModelDescription;
import io.heatkv.text.PromptTokenizer;
import java.util.List;

/** What a first picture will need, begun before it is asked for. */
final class WarmUp {
  private WarmUp() {}

  /**
   * Begins to open libtorch while the command line is still read, unless that says otherwise. Where
   * it fails, opening it again says why.
   *
   * @param arguments of a command that draws
   */
  static void library(List<String> arguments) {
    if (arguments.stream()
        .noneMatch(argument -> argument.matches("--libtorch.*|--threads.*|--help|-h"))) {
      LibraryOpening.startStandard();
    }
  }

  /** Loads the classes of the tokenizer and of PNG while another thread opens libtorch. */
  static void start(ModelDescription model) {
    Thread.ofPlatform().daemon().name("warm-up").start(() -> run(model));
  }

  private static void run(ModelDescription model) {
    try {
      byte[] _ = Png.encode(new PngImage(1, 1, new byte[3]), List.of());
      PromptTokenizer.open(
              model.textEncoder().resolve("tokenizer.json"), model.transformer().textMaxLength())
          .close();
    } catch (RuntimeException _) {
      // The engine meets the same file and says so.
    }
  }
}
