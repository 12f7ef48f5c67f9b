package io.heatkv.load;

import io.heatkv.error.UserException;
import io.heatkv.resource.CacheFolder;
import io.heatkv.resource.ResourceFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Turns what a user names as a model into a folder. */
public final class ModelSource {
  /** Name of the embedded model. */
  public static final String EMBEDDED = "emoji";

  private static final String ROOT = "io/heatkv/models/emoji/";
  private static final List<String> FILES =
      List.of(
          "model.json",
          "golden.safetensors",
          "emoji.heatkv.json",
          "transformer.safetensors",
          "vae.safetensors",
          "text_encoder/config.json",
          "text_encoder/model.safetensors",
          "text_encoder/tokenizer.json",
          "prompts/calibration.txt",
          "prompts/heldout.txt");

  private ModelSource() {}

  /**
   * The model named {@code emoji}, or the folder of that path.
   *
   * @throws UserException if it is neither
   */
  public static ModelDescription find(String name) {
    if (name.equals(EMBEDDED)) {
      return ModelDescription.read(embedded());
    }
    Path folder = Path.of(name);
    if (!Files.isDirectory(folder)) {
      throw new UserException(
          "model '" + name + "' is unknown; expected emoji or a folder with a model.json");
    }
    return ModelDescription.read(folder);
  }

  /**
   * Names of the embedded model's unpacked files whose content is damaged.
   *
   * @throws IOException if they can't be read
   */
  public static List<String> damaged() throws IOException {
    return resources().damaged(embedded());
  }

  private static ResourceFiles resources() {
    return new ResourceFiles(
        EMBEDDED,
        ModelSource.class,
        FILES.stream().map(file -> new ResourceFiles.Item(ROOT + file, file)).toList());
  }

  private static Path embedded() {
    ResourceFiles files = resources();
    if (!files.arePresent()) {
      throw new UserException(
          "model 'emoji' is not on the class path; add the jar heatkv-model-emoji or name a folder");
    }
    return files.unpack(CacheFolder.locate());
  }
}
