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
   * The model named {@code emoji}, that of a folder with a model.json, or one put together from the
   * files in a folder and what its model.json says if it says only a part, or from a transformer's
   * file and what lies beside it.
   *
   * @throws UserException if it is none of them, or files are missing or don't fit each other
   */
  public static FoundModel locate(String name) {
    if (name.equals(EMBEDDED)) {
      return new FoundModel(ModelDescription.read(embedded()), List.of());
    }
    Path path = Path.of(name);
    if (Files.isRegularFile(path)) {
      return ModelFinder.beside(path, HubCache.locate());
    }
    if (!Files.isDirectory(path)) {
      throw new UserException(
          "model '"
              + name
              + "' is unknown; expected emoji, a folder with a model's files, or the file of a"
              + " transformer");
    }
    if (!Files.exists(path.resolve(ModelDescription.FILE))) {
      return ModelFinder.find(List.of(path), HubCache.locate());
    }
    ModelPins pins = ModelPins.read(path);
    return pins.areWhole()
        ? new FoundModel(ModelDescription.read(path), List.of())
        : ModelFinder.find(path, pins, HubCache.locate());
  }

  /** As {@link #locate}, without what should be said about it. */
  public static ModelDescription find(String name) {
    return locate(name).description();
  }

  /**
   * Names of the embedded model's unpacked files whose content is damaged; none where the program
   * comes without it.
   *
   * @throws IOException if they can't be read
   */
  public static List<String> damaged() throws IOException {
    return resources().arePresent() ? resources().damaged(embedded()) : List.of();
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
