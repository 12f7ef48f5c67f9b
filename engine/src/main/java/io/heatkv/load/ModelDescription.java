package io.heatkv.load;

import io.heatkv.cache.KvShape;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Fingerprint;
import io.heatkv.error.UserException;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.infinity.TransformerConfigs;
import io.heatkv.json.JsonObject;
import io.heatkv.scale.ScaleSchedule;
import io.heatkv.scale.ScaleSchedules;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.DType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What a model is and where its files lie: the content of its model.json.
 *
 * @param name for people
 * @param folder of the model
 * @param transformer sizes of the transformer
 * @param transformerFile its weights
 * @param codeChannels bits of a code position
 * @param vaeFile weights of the image tokenizer
 * @param textEncoder folder of the T5 encoder: config and tokenizer
 * @param textWeights weights of the T5 encoder
 * @param schedule default scale schedule
 * @param cfg default guidance strength
 * @param tau default temperature
 * @param topP default nucleus filter
 * @param profile its calibration, if it comes with one
 */
@SuppressWarnings("exports") // The transformer is its family's matter.
public record ModelDescription(
    String name,
    Path folder,
    TransformerConfig transformer,
    Path transformerFile,
    int codeChannels,
    Path vaeFile,
    Path textEncoder,
    Path textWeights,
    ScaleSchedule schedule,
    double cfg,
    double tau,
    double topP,
    Optional<Path> profile) {
  /** Name of the file that describes a folder's model. */
  public static final String FILE = "model.json";

  /**
   * Reads {@code model.json} of a folder.
   *
   * @throws UserException if it is missing or incomplete
   */
  public static ModelDescription read(Path folder) {
    Path file = folder.resolve(FILE);
    JsonObject json = JsonObject.read(file);
    JsonObject vae = json.object("vae");
    JsonObject transformer = json.object("transformer");
    JsonObject sampling = json.object("sampling");
    int channels = vae.size("codebook_dim");
    Path text = inside(folder, json.object("text_encoder").text("folder"), file);
    return new ModelDescription(
        json.text("name"),
        folder,
        TransformerConfigs.read(transformer, channels),
        inside(folder, transformer.text("file"), file),
        channels,
        inside(folder, vae.text("file"), file),
        text,
        text,
        schedule(json),
        sampling.number("cfg"),
        sampling.number("tau"),
        sampling.number("top_p", 1),
        json.has("calibration")
            ? Optional.of(inside(folder, json.object("calibration").text("file"), file))
            : Optional.empty());
  }

  /**
   * Tells the transformer's weights apart from others', without loading them.
   *
   * @throws UserException if they are missing or damaged
   */
  public String fingerprint() {
    try (Checkpoint checkpoint = Network.TRANSFORMER.open(transformerFile)) {
      return Fingerprint.of(checkpoint);
    }
  }

  /**
   * Sizes of the cache of one picture with guidance, which is two rows: what budgets in bytes refer
   * to.
   *
   * @param dtype of stored keys and values
   * @param scales grids that are drawn
   */
  public KvShape kvShape(DType dtype, ScaleSchedule scales) {
    return new KvShape(
        transformer.depth(), 2, 2, transformer.heads(), transformer.headDim(), dtype, scales);
  }

  /** A path below the folder; a model can't point elsewhere. */
  static Path inside(Path folder, String name, Path file) {
    Path path = folder.resolve(name).normalize();
    if (!path.startsWith(folder.normalize())) {
      throw new UserException(file + ": names " + name + ", outside the model's folder");
    }
    return path;
  }

  /** Grids at the key scale_schedule. */
  static ScaleSchedule schedule(JsonObject json) {
    List<ScaleSize> sizes = new ArrayList<>();
    for (Object item : json.list("scale_schedule")) {
      if (item instanceof List<?> scale
          && scale.size() == 3
          && scale.get(1) instanceof Double height
          && scale.get(2) instanceof Double width
          && height == Math.rint(height)
          && width == Math.rint(width)) {
        sizes.add(new ScaleSize(height.intValue(), width.intValue()));
      } else {
        throw new UserException(
            json.source() + ": scale_schedule has " + item + "; expected [1, height, width]");
      }
    }
    return ScaleSchedules.custom(sizes);
  }
}
