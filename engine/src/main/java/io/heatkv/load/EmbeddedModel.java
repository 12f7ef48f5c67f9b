package io.heatkv.load;

import io.heatkv.error.UserException;
import io.heatkv.resource.CacheFolder;
import io.heatkv.resource.Release;
import io.heatkv.resource.ResourceFiles;
import io.heatkv.resource.ResourceFiles.Item;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** The models that come along, each in a jar of its own; they share tokenizer and text encoder. */
enum EmbeddedModel {
  /** 256 × 256 pixels in ten scales. */
  EMOJI("emoji", "emoji"),
  /** 512 × 512 pixels in thirteen scales. */
  EMOJI_512("emoji-512", "emoji512");

  private static final String ROOT = "io/heatkv/models/";
  private static final List<String> SHARED =
      List.of(
          "vae.safetensors",
          "text_encoder/config.json",
          "text_encoder/model.safetensors",
          "text_encoder/tokenizer.json",
          "prompts/calibration.txt",
          "prompts/heldout.txt");

  private final String name;
  private final String folder;

  EmbeddedModel(String name, String folder) {
    this.name = name;
    this.folder = folder;
  }

  static Optional<EmbeddedModel> named(String name) {
    return Arrays.stream(values()).filter(model -> model.name.equals(name)).findFirst();
  }

  /** Their names, as a sentence lists them. */
  static String names() {
    return String.join(", ", Arrays.stream(values()).map(model -> model.name).toList());
  }

  /**
   * The folder of its files, unpacked where they lie in jars.
   *
   * @throws UserException if the class path lacks them
   */
  Path folder() {
    ResourceFiles files = files();
    if (!files.arePresent()) {
      throw new UserException(
          "model '%s' is not on the class path; add %s, or name a folder"
              .formatted(name, Release.dependency("heatkv-model-" + name, "jar")));
    }
    return files.unpack(CacheFolder.locate());
  }

  /** Names of unpacked files whose content is damaged; none where the class path lacks them. */
  List<String> damaged() throws IOException {
    ResourceFiles files = files();
    return files.arePresent() ? files.damaged(folder()) : List.of();
  }

  private ResourceFiles files() {
    Stream<Item> own =
        Stream.of(
                "model.json",
                "golden.safetensors",
                name + ".heatkv.json",
                "transformer.safetensors")
            .map(file -> new Item(ROOT + folder + "/" + file, file));
    Stream<Item> shared = SHARED.stream().map(file -> new Item(ROOT + "emoji/" + file, file));
    return new ResourceFiles(name, EmbeddedModel.class, Stream.concat(own, shared).toList());
  }
}
