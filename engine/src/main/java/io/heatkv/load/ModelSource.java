package io.heatkv.load;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** Turns what a user names as a model into a folder. */
public final class ModelSource {
  /** Name of the model that is taken where none is named. */
  public static final String EMBEDDED = "emoji";

  private ModelSource() {}

  /**
   * A model that comes along, that which a folder describes, or one put together from the files in
   * a folder and what its model.json says if it says only a part, or from a transformer's file and
   * what lies beside it.
   *
   * @throws UserException if it is none of them, or files are missing or don't fit each other
   */
  public static FoundModel locate(String name) {
    Path path = EmbeddedModel.named(name).map(EmbeddedModel::folder).orElseGet(() -> Path.of(name));
    if (Files.isRegularFile(path)) {
      List<Network> drawing =
          ModelFamilies.all().stream().map(family -> family.networks().getFirst()).toList();
      return find(ModelFiles.beside(path, ModelFamilies.networks(), drawing));
    }
    if (!Files.isDirectory(path)) {
      throw new UserException(
          "model '"
              + name
              + "' is unknown; expected "
              + EmbeddedModel.names()
              + ", a folder with a model's files, or the file of a transformer");
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

  /** Whether a name is that of a model that comes along. */
  public static boolean isEmbedded(String name) {
    return EmbeddedModel.named(name).isPresent();
  }

  /**
   * Names of {@link #EMBEDDED}'s unpacked files whose content is damaged.
   *
   * @throws IOException if they can't be read
   */
  public static List<String> damaged() throws IOException {
    return EmbeddedModel.EMOJI.damaged();
  }
}
