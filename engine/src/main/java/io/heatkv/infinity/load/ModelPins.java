package io.heatkv.infinity.load;

import io.heatkv.error.UserException;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.infinity.TransformerConfigs;
import io.heatkv.json.JsonObject;
import io.heatkv.scale.ScaleGrids;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.DoubleSupplier;

/**
 * What a model.json says of a model whose files say the rest; every key may be left out.
 *
 * @param folder of the model.json
 * @param json its content, maybe empty
 */
record ModelPins(Path folder, JsonObject json) {
  /** The object's keys that hold objects. */
  private static final List<String> PARTS =
      List.of("transformer", "vae", "text_encoder", "sampling", "calibration");

  /** Of a folder without a model.json. */
  static ModelPins none() {
    return new ModelPins(
        Path.of(""), new JsonObject(Path.of(InfinityDescription.FILE), "", Map.of()));
  }

  /**
   * Reads the model.json of a folder.
   *
   * @throws UserException if it can't be read
   */
  static ModelPins read(Path folder) {
    return new ModelPins(folder, JsonObject.read(folder.resolve(InfinityDescription.FILE)));
  }

  /**
   * Whether it says all that {@link InfinityDescription#read} needs, so that nothing is inferred.
   */
  boolean areWhole() {
    return json.has("name")
        && json.has("scale_schedule")
        && hasAll("sampling", "cfg", "tau")
        && hasAll("transformer", "file", "depth", "embed_dim", "num_heads", "text_channels")
        && hasAll("vae", "file", "codebook_dim")
        && hasAll("text_encoder", "folder");
  }

  private boolean hasAll(String part, String... keys) {
    return json.has(part) && List.of(keys).stream().allMatch(json.object(part)::has);
  }

  private JsonObject part(String key) {
    return json.has(key) ? json.object(key) : new JsonObject(json.source(), key + ".", Map.of());
  }

  Optional<Path> transformerFile() {
    return path("transformer", "file");
  }

  Optional<Path> vaeFile() {
    return path("vae", "file");
  }

  Optional<Path> textEncoder() {
    return path("text_encoder", "folder");
  }

  /** The calibration profile, if one is named. */
  Optional<Path> profile() {
    return path("calibration", "file");
  }

  private Optional<Path> path(String part, String key) {
    Optional<Path> named =
        part(part)
            .optionalText(key)
            .map(name -> InfinityDescription.inside(folder, name, json.source()));
    if (named.isPresent() && !Files.exists(named.get())) {
      throw new UserException(
          "%s: %s.%s names %s, which doesn't exist; leave it out to have it looked for"
              .formatted(json.source(), part, key, named.get()));
    }
    return named;
  }

  String name(String inferred) {
    return json.optionalText("name").orElse(inferred);
  }

  ScaleGrids grids(ScaleGrids inferred) {
    return json.has("scale_schedule") ? InfinityDescription.grids(json) : inferred;
  }

  /** The number at a key of {@code sampling}. */
  double sampling(String key, DoubleSupplier inferred) {
    JsonObject sampling = part("sampling");
    return sampling.has(key) ? sampling.number(key) : inferred.getAsDouble();
  }

  /**
   * Whether a token holds 2×2 code positions.
   *
   * @param inferred from the widths of transformer and image tokenizer
   */
  boolean patchify(boolean inferred) {
    return part("transformer").flag("apply_spatial_patchify", inferred);
  }

  /**
   * @throws UserException if a size contradicts the weights' shapes
   */
  TransformerConfig transformer(TransformerConfig inferred, Path weights) {
    return TransformerConfigs.pinned(part("transformer"), inferred, weights);
  }

  /**
   * @throws UserException if the number pinned is another than the image tokenizer's
   */
  void requireCodeChannels(int own, Path weights) {
    int pinned = part("vae").size("codebook_dim", own);
    if (pinned != own) {
      throw new UserException(
          "%s: vae.codebook_dim is %d, but image tokenizer %s has codes of %d bits"
              .formatted(json.source(), pinned, weights, own));
    }
  }

  /** The keys that it says, such as {@code name, sampling.cfg}; empty if it says none. */
  String said() {
    return String.join(
        ", ",
        json.values().keySet().stream()
            .flatMap(key ->
                PARTS.contains(key)
                    ? json.object(key).values().keySet().stream().map(inner -> key + "." + inner)
                    : List.of(key).stream())
            .toList());
  }
}
