package io.heatkv.var.load;

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
import io.heatkv.load.Conversion;
import io.heatkv.load.Synthesis;
import io.heatkv.var.PublishedVar;
import io.heatkv.var.VarKeys;
import io.heatkv.var.vae.VqConfig;
import io.heatkv.var.vae.VqKeys;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Function;

/**
 * Model folders that this engine writes: shards of both networks, told by their content like files
 * as published. Weights that loading reads in float32 whatever the compute type stay float32.
 */
final class VarFolder {
  private static final String TRANSFORMER = "transformer";
  private static final String VAE = "vae";

  private VarFolder() {}

  /** See {@link io.heatkv.load.ModelDescription#convert}. */
  static Conversion convert(
      VarDescription model, Path folder, StorageType dtype, ShardedWriter.Progress progress) {
    CheckpointImport.requireTarget(dtype);
    Checkpoint weights = model.transformerWeights();
    Checkpoint pixels = model.vaeWeights();
    DiskSpace.require(folder, bytes(weights, transformer(dtype)) + bytes(pixels, tokenizer(dtype)));
    CheckpointImport.Result transformer =
        write(weights, folder.resolve(TRANSFORMER), dtype, transformer(dtype), progress);
    CheckpointImport.Result vae =
        write(pixels, folder.resolve(VAE), dtype, tokenizer(dtype), progress);
    Optional<Conversion.Calibration> calibration =
        model
            .profile()
            .map(file ->
                Conversion.Calibration.carry(
                    file, model.fingerprint(), fingerprint(transformer.index()), folder));
    FolderSums.write(folder);
    Map<String, Long> overflowed = new TreeMap<>(transformer.overflowed());
    overflowed.putAll(vae.overflowed());
    return new Conversion(
        transformer.written() + vae.written(),
        transformer.kept() + vae.kept(),
        overflowed,
        calibration);
  }

  private static String fingerprint(Path index) {
    try (Checkpoint written = Checkpoints.open(index)) {
      return Fingerprint.of(written);
    }
  }

  private static Function<String, StorageType> transformer(StorageType dtype) {
    return name -> VarKeys.isExact(name) ? StorageType.F32 : dtype;
  }

  private static Function<String, StorageType> tokenizer(StorageType dtype) {
    return name -> name.startsWith("quantize.") ? StorageType.F32 : dtype;
  }

  private static long bytes(Checkpoint source, Function<String, StorageType> types) {
    return source.names().stream()
        .mapToLong(name -> source.entry(name).elements() * types.apply(name).byteSize())
        .sum();
  }

  private static CheckpointImport.Result write(
      Checkpoint source,
      Path folder,
      StorageType dtype,
      Function<String, StorageType> types,
      ShardedWriter.Progress progress) {
    return CheckpointImport.run(
        source, folder, dtype.name(), types, CheckpointImport.DEFAULT_SHARD_BYTES, progress);
  }

  /** See {@link io.heatkv.load.ModelFamily#synthesize}. */
  static void synthesize(Synthesis what, Path folder, ShardedWriter.Progress progress) {
    if (what.text()) {
      throw new UserException(
          "model %s reads no text; leave out the text encoder".formatted(what.size()));
    }
    StorageType dtype = CheckpointImport.requireTarget(what.dtype());
    Map<String, Map<String, long[]>> parts = new LinkedHashMap<>();
    parts.put(TRANSFORMER, VarKeys.shapes(PublishedVar.parse(what.size()).config()));
    if (what.vae()) {
      parts.put(VAE, VqKeys.shapes(VqConfig.PUBLISHED));
    }
    long bytes = 0;
    for (Map.Entry<String, Map<String, long[]>> part : parts.entrySet()) {
      for (Map.Entry<String, long[]> tensor : part.getValue().entrySet()) {
        bytes += types(part.getKey(), dtype).apply(tensor.getKey()).bytesOf(tensor.getValue());
      }
    }
    DiskSpace.require(folder, bytes);
    parts.forEach((name, shapes) ->
        SyntheticCheckpoint.write(
            folder.resolve(name),
            shapes,
            types(name, dtype),
            what.seed(),
            CheckpointImport.DEFAULT_SHARD_BYTES,
            progress));
    FolderSums.write(folder);
  }

  private static Function<String, StorageType> types(String part, StorageType dtype) {
    return part.equals(VAE) ? tokenizer(dtype) : transformer(dtype);
  }
}
