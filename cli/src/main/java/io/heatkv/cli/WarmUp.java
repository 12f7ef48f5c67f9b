package io.heatkv.cli;

import io.heatkv.error.UserException;
import io.heatkv.image.Png;
import io.heatkv.image.PngImage;
import io.heatkv.load.ModelDescription;
import io.heatkv.text.PromptTokenizer;
import java.util.List;

/** Loads the classes of the tokenizer and of PNG while another thread opens libtorch. */
final class WarmUp {
  private WarmUp() {}

  static void start(ModelDescription model) {
    Thread.ofPlatform().daemon().name("warm-up").start(() -> run(model));
  }

  private static void run(ModelDescription model) {
    try {
      byte[] _ = Png.encode(new PngImage(1, 1, new byte[3]), List.of());
      PromptTokenizer.open(
              model.textEncoder().resolve("tokenizer.json"), model.transformer().textMaxLength())
          .close();
    } catch (UserException _) {
      // The engine meets the same file and says so.
    }
  }
}
