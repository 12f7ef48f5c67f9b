package io.heatkv.infinity.load;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.checkpoint.Fingerprint;
import io.heatkv.checkpoint.ShardedWriter;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.convert.CheckpointImport;
import io.heatkv.convert.DiskSpace;
import io.heatkv.convert.FolderSums;
import io.heatkv.convert.SyntheticCheckpoint;
import io.heatkv.error.UserException;
import io.heatkv.infinity.TransformerKeys;
import io.heatkv.load.Conversion;
import io.heatkv.text.PromptTokenizer;
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
import java.util.function.ToIntFunction;

/**
 * Converts a whole model to a folder whose weights loading maps: the transformer's blocks and the
 * matrices of image tokenizer and text encoder in the type asked for; float32 where the official
 * code keeps it whatever the blocks' type, and for the few elements of norms and biases.
 */
final class ModelImport {
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
   * Writes a model into a folder: shards, the text encoder's configuration and tokenizer, its
   * calibration profile, model.json and SHA256SUMS. A run that was cut off goes on where it
   * stopped.
   *
   * @param dtype type of all but what stays float32: BF16, F32 or F16
   * @throws UserException if the folder can't be written, is too small or holds another model
   */
  static Conversion run(
      InfinityDescription model, Path folder, StorageType dtype, ShardedWriter.Progress progress) {
    CheckpointImport.requireTarget(dtype);
    Checkpoint transformer = model.transformerWeights();
    Checkpoint vae = model.vaeWeights();
    Checkpoint text = encoderOnly(model);
    List<Part> parts =
        List.of(
            new Part(TRANSFORMER, transformer, types(dtype)),
            new Part(VAE, vae, matrices(vae, dtype)),
            new Part(TEXT_ENCODER, text, matrices(text, dtype)));
    DiskSpace.require(folder, parts.stream().mapToLong(Part::bytes).sum());
    List<CheckpointImport.Result> results =
        parts.stream().map(part -> part.write(folder, dtype, progress)).toList();
    copyTextFiles(model.textEncoder(), folder.resolve(TEXT_ENCODER));
    Optional<Conversion.Calibration> calibration =
        model
            .profile()
            .map(file ->
                Conversion.Calibration.carry(
                    file, model.fingerprint(), fingerprint(results.getFirst().index()), folder));
    new ModelJson(
            model,
            folder.relativize(results.get(0).index()),
            Optional.of(folder.relativize(results.get(1).index())),
            Optional.of(Path.of(TEXT_ENCODER)),
            calibration.flatMap(Conversion.Calibration::file),
            notes(transformer, dtype))
        .write(folder);
    FolderSums.write(folder);
    Map<String, Long> overflowed = new TreeMap<>();
    results.forEach(result -> overflowed.putAll(result.overflowed()));
    return new Conversion(
        results.stream().mapToInt(CheckpointImport.Result::written).sum(),
        results.stream().mapToInt(CheckpointImport.Result::kept).sum(),
        overflowed,
        calibration);
  }

  private static String fingerprint(Path index) {
    try (Checkpoint written = Checkpoints.open(index)) {
      return Fingerprint.of(written);
    }
  }

  /** A network and the types that its weights take by name. */
  private record Part(String name, Checkpoint source, Function<String, StorageType> types) {
    long bytes() {
      return source.names().stream()
          .mapToLong(tensor -> source.entry(tensor).elements() * types.apply(tensor).byteSize())
          .sum();
    }

    CheckpointImport.Result write(Path folder, StorageType dtype, ShardedWriter.Progress progress) {
      return CheckpointImport.run(
          source,
          folder.resolve(name),
          dtype.name(),
          types,
          CheckpointImport.DEFAULT_SHARD_BYTES,
          progress);
    }
  }

  /** Types of weights of which only vectors stay float32. */
  private static Function<String, StorageType> matrices(Checkpoint source, StorageType dtype) {
    return matrices(name -> source.entry(name).shape().length, dtype);
  }

  /** The same of the numbers of dimensions by name. */
  static Function<String, StorageType> matrices(
      ToIntFunction<String> dimensions, StorageType dtype) {
    return name -> dimensions.applyAsInt(name) > 1 ? dtype : StorageType.F32;
  }

  /** Types of a transformer's weights by name. */
  static Function<String, StorageType> types(StorageType blocks) {
    return name -> TransformerKeys.isOfBlocks(name) ? blocks : StorageType.F32;
  }

  private static Map<String, String> notes(Checkpoint transformer, StorageType dtype) {
    Map<String, String> notes = new TreeMap<>();
    notes.put("dtype", dtype.name());
    String random = transformer.metadata().get(SyntheticCheckpoint.NOTE);
    if (random != null) {
      notes.put("weights", random);
    }
    return notes;
  }

  /** The encoder's tensors without the decoder's, which nothing reads. */
  private static Checkpoint encoderOnly(InfinityDescription model) {
    Checkpoint whole = model.textEncoderWeights();
    Set<String> others = new TreeSet<>(whole.names());
    others.removeAll(T5Encoder.names(model.t5(), whole));
    return whole.without(others);
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
