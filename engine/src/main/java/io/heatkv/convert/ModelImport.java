package io.heatkv.convert;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.ShardedWriter;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.error.UserException;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.ModelJson;
import io.heatkv.load.Network;
import io.heatkv.model.TransformerKeys;
import io.heatkv.text.PromptTokenizer;
import io.heatkv.text.T5Config;
import io.heatkv.text.T5Encoder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;

/**
 * Converts a whole model to a folder that loading maps without converting anything: each tensor in
 * the type in which the engine computes with it. That is the type asked for in the transformer's
 * blocks and float32 elsewhere, as the official code places them.
 */
public final class ModelImport {
  private static final String TRANSFORMER = "transformer";
  private static final String VAE = "vae";
  private static final String TEXT_ENCODER = "text_encoder";
  private static final String CONFIG = "config.json";

  /** What HuggingFace keeps beside a T5's weights; only the first is always there. */
  private static final List<String> TEXT_FILES =
      List.of(
          CONFIG,
          PromptTokenizer.TOKENIZER,
          PromptTokenizer.SENTENCE_PIECE,
          "tokenizer_config.json",
          "special_tokens_map.json");

  private ModelImport() {}

  /**
   * What an import did.
   *
   * @param written shards written
   * @param kept shards of an earlier run whose checksums hold
   * @param overflowed finite elements that became infinite, by tensor
   */
  public record Result(int written, int kept, Map<String, Long> overflowed) {}

  /**
   * Writes a model into a folder: shards, the text encoder's configuration and tokenizer,
   * model.json and SHA256SUMS. A run that was cut off goes on where it stopped.
   *
   * @param blocks type of the transformer's blocks: BF16, F32 or F16
   * @throws UserException if the folder can't be written, is too small or holds another model
   */
  public static Result run(
      ModelDescription model, Path folder, StorageType blocks, ShardedWriter.Progress progress) {
    CheckpointImport.requireTarget(blocks);
    Function<String, StorageType> types = types(blocks);
    try (Checkpoint transformer = Network.TRANSFORMER.open(model.transformerFile());
        Checkpoint vae = Network.IMAGE_TOKENIZER.open(model.vaeFile());
        Checkpoint text = encoderOnly(model)) {
      DiskSpace.require(
          folder,
          bytes(transformer, types)
              + bytes(vae, ModelImport::float32)
              + bytes(text, ModelImport::float32));
      List<CheckpointImport.Result> results =
          List.of(
              part(transformer, folder.resolve(TRANSFORMER), blocks.name(), types, progress),
              part(
                  vae, folder.resolve(VAE), StorageType.F32.name(), ModelImport::float32, progress),
              part(
                  text,
                  folder.resolve(TEXT_ENCODER),
                  StorageType.F32.name(),
                  ModelImport::float32,
                  progress));
      copyTextFiles(model.textEncoder(), folder.resolve(TEXT_ENCODER));
      new ModelJson(
              model,
              folder.relativize(results.get(0).index()),
              Optional.of(folder.relativize(results.get(1).index())),
              Optional.of(Path.of(TEXT_ENCODER)),
              notes(transformer, blocks))
          .write(folder);
      FolderSums.write(folder);
      Map<String, Long> overflowed = new TreeMap<>();
      results.forEach(result -> overflowed.putAll(result.overflowed()));
      return new Result(
          results.stream().mapToInt(CheckpointImport.Result::written).sum(),
          results.stream().mapToInt(CheckpointImport.Result::kept).sum(),
          overflowed);
    }
  }

  private static StorageType float32(String name) {
    return StorageType.F32;
  }

  /** Types of a transformer's weights by name. */
  static Function<String, StorageType> types(StorageType blocks) {
    return name -> TransformerKeys.isOfBlocks(name) ? blocks : StorageType.F32;
  }

  private static Map<String, String> notes(Checkpoint transformer, StorageType blocks) {
    Map<String, String> notes = new TreeMap<>();
    notes.put("dtype", blocks.name());
    String random = transformer.metadata().get(SyntheticCheckpoint.NOTE);
    if (random != null) {
      notes.put("weights", random);
    }
    return notes;
  }

  private static CheckpointImport.Result part(
      Checkpoint source,
      Path folder,
      String note,
      Function<String, StorageType> types,
      ShardedWriter.Progress progress) {
    return CheckpointImport.run(
        source, folder, note, types, CheckpointImport.DEFAULT_SHARD_BYTES, progress);
  }

  private static long bytes(Checkpoint source, Function<String, StorageType> types) {
    return source.names().stream()
        .mapToLong(name -> source.entry(name).elements() * types.apply(name).byteSize())
        .sum();
  }

  /** The encoder's tensors without the decoder's, which nothing reads. */
  private static Checkpoint encoderOnly(ModelDescription model) {
    Checkpoint whole = Network.TEXT_ENCODER.open(model.textWeights());
    try {
      T5Config config = T5Config.read(model.textEncoder().resolve(CONFIG));
      Set<String> others = new TreeSet<>(whole.names());
      others.removeAll(T5Encoder.names(config, whole));
      return whole.without(others);
    } catch (RuntimeException e) {
      whole.close();
      throw e;
    }
  }

  private static void copyTextFiles(Path from, Path to) {
    for (String name : TEXT_FILES) {
      if (Files.isRegularFile(from.resolve(name))) {
        try {
          FolderSums.replace(to.resolve(name), Files.readAllBytes(from.resolve(name)));
        } catch (IOException e) {
          throw new UserException(from.resolve(name) + ": can't be copied: " + e.getMessage(), e);
        }
      }
    }
  }
}
