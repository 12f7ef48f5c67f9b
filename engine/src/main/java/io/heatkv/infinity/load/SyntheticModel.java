package io.heatkv.infinity.load;

import com.fasterxml.jackson.core.JsonGenerator;
import io.heatkv.checkpoint.ShardedWriter;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.convert.CheckpointImport;
import io.heatkv.convert.DiskSpace;
import io.heatkv.convert.FolderSums;
import io.heatkv.convert.SyntheticCheckpoint;
import io.heatkv.error.UserException;
import io.heatkv.infinity.PublishedModel;
import io.heatkv.infinity.ScaleTemplate;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.infinity.TransformerKeys;
import io.heatkv.infinity.vae.VaeConfig;
import io.heatkv.infinity.vae.VaeKeys;
import io.heatkv.json.JsonFile;
import io.heatkv.load.ModelFiles;
import io.heatkv.load.Synthesis;
import io.heatkv.text.PromptTokenizer;
import io.heatkv.text.T5Config;
import io.heatkv.text.T5Encoder;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A model folder of random weights with exactly the names and shapes of a published model, for
 * trying out memory and speed; its pictures are noise.
 */
final class SyntheticModel {
  private SyntheticModel() {}

  private record Part(
      String folder, Map<String, long[]> shapes, Function<String, StorageType> types) {
    long bytes() {
      return shapes.entrySet().stream()
          .mapToLong(tensor -> types.apply(tensor.getKey()).bytesOf(tensor.getValue()))
          .sum();
    }
  }

  /**
   * Writes the folder; a run that was cut off goes on where it stopped.
   *
   * @throws UserException if the folder can't be written, is too small or holds another model
   */
  static void write(Synthesis choice, Path folder, ShardedWriter.Progress progress) {
    PublishedModel like = PublishedModel.parse(choice.size());
    TransformerConfig config = like.transformer();
    Part transformer =
        new Part(
            "transformer",
            TransformerKeys.shapes(config, TransformerKeys.poolHeads(config)),
            ModelImport.types(CheckpointImport.requireTarget(choice.dtype())));
    Part vae =
        choice.vae()
            ? matrices(
                choice.dtype(),
                "vae",
                VaeKeys.shapes(VaeConfig.published(like.codeChannels(), config.spatialPatchify())))
            : null;
    Part text =
        choice.text()
            ? matrices(choice.dtype(), "text_encoder", T5Encoder.shapes(T5Config.FLAN_T5_XL))
            : null;
    List<Part> parts = new ArrayList<>(List.of(transformer));
    Optional.ofNullable(vae).ifPresent(parts::add);
    Optional.ofNullable(text).ifPresent(parts::add);
    DiskSpace.require(folder, parts.stream().mapToLong(Part::bytes).sum());
    for (Part part : parts) {
      SyntheticCheckpoint.write(
          folder.resolve(part.folder),
          part.shapes,
          part.types,
          choice.seed(),
          CheckpointImport.DEFAULT_SHARD_BYTES,
          progress);
    }
    if (text != null) {
      textFiles(folder.resolve(text.folder));
    }
    describe(choice, folder, transformer, vae, text);
    FolderSums.write(folder);
  }

  private static Part matrices(StorageType dtype, String folder, Map<String, long[]> shapes) {
    return new Part(
        folder,
        shapes,
        ModelImport.matrices(name -> Objects.requireNonNull(shapes.get(name)).length, dtype));
  }

  private static void describe(
      Synthesis choice, Path folder, Part transformer, @Nullable Part vae, @Nullable Part text) {
    PublishedModel like = PublishedModel.parse(choice.size());
    Path none = Path.of("");
    InfinityDescription model =
        new InfinityDescription(
            like + " (random weights)",
            folder,
            like.transformer(),
            none,
            like.codeChannels(),
            none,
            none,
            none,
            ScaleTemplate.nearest(1).grids(like.resolution()),
            like.cfg(),
            like.tau(),
            PublishedModel.TOP_P,
            Optional.empty(),
            ModelFiles.in(folder));
    new ModelJson(
            model,
            index(transformer),
            Optional.ofNullable(vae).map(SyntheticModel::index),
            Optional.ofNullable(text).map(part -> Path.of(part.folder)),
            Optional.empty(),
            Map.of("weights", SyntheticCheckpoint.note(choice.seed())))
        .write(folder);
  }

  private static Path index(Part part) {
    return Path.of(part.folder, ShardedWriter.INDEX);
  }

  private static void textFiles(Path folder) {
    JsonFile.write(folder.resolve("config.json"), SyntheticModel::config);
    try {
      FolderSums.replace(folder.resolve(PromptTokenizer.TOKENIZER), PromptTokenizer.letters());
    } catch (IOException e) {
      throw new UserException(folder + ": can't be written: " + e.getMessage(), e);
    }
  }

  private static void config(JsonGenerator json) throws IOException {
    T5Config config = T5Config.FLAN_T5_XL;
    json.writeStartObject();
    json.writeStringField("model_type", "t5");
    json.writeStringField("feed_forward_proj", "gated-gelu");
    json.writeNumberField("vocab_size", config.vocabulary());
    json.writeNumberField("d_model", config.width());
    json.writeNumberField("d_kv", config.headDim());
    json.writeNumberField("d_ff", config.hidden());
    json.writeNumberField("num_layers", config.layers());
    json.writeNumberField("num_heads", config.heads());
    json.writeNumberField("relative_attention_num_buckets", config.buckets());
    json.writeNumberField("relative_attention_max_distance", config.maxDistance());
    json.writeNumberField("layer_norm_epsilon", config.epsilon());
    json.writeEndObject();
  }
}
