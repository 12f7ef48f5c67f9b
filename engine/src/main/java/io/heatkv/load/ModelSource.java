package io.heatkv.load;

import io.heatkv.error.UserException;
import io.heatkv.resource.CacheFolder;
import io.heatkv.resource.Release;
import io.heatkv.resource.ResourceFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

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
   * The model named {@code emoji}, that which a folder describes, or one put together from the
   * files in a folder and what its model.json says if it says only a part, or from a transformer's
   * file and what lies beside it.
   *
   * @throws UserException if it is none of them, or files are missing or don't fit each other
   */
  public static FoundModel locate(String name) {
    Path path = name.equals(EMBEDDED) ? embedded() : Path.of(name);
    if (Files.isRegularFile(path)) {
      List<Network> drawing =
          ModelFamilies.all().stream().map(family -> family.networks().getFirst()).toList();
      return find(ModelFiles.beside(path, ModelFamilies.networks(), drawing));
    }
    if (!Files.isDirectory(path)) {
      throw new UserException(
          "model '"
              + name
              + "' is unknown; expected emoji, a folder with a model's files, or the file of a"
              + " transformer");
    }
    for (ModelFamily family : ModelFamilies.all()) {
      Optional<ModelDescription> described = family.described(path);
      if (described.isPresent()) {
        return new FoundModel(described.get(), List.of());
      }
    }
    return locate(List.of(path));
  }

  /**
   * The model whose parts lie in files and folders.
   *
   * @throws UserException as above
   */
  public static FoundModel locate(List<Path> sources) {
    return find(ModelFiles.scan(sources, ModelFamilies.networks()));
  }

  private static FoundModel find(ModelFiles files) {
    try {
      return ModelFamilies.of(files).find(files);
    } catch (RuntimeException e) {
      files.close();
      throw e;
    }
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
          "model 'emoji' is not on the class path; add %s, or name a folder"
              .formatted(Release.dependency("heatkv-model-emoji", "jar")));
    }
    return files.unpack(CacheFolder.locate());
  }
}
