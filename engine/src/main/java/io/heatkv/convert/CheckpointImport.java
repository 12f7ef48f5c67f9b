package io.heatkv.convert;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Fingerprint;
import io.heatkv.checkpoint.SafetensorsWriter.Item;
import io.heatkv.checkpoint.ShardedWriter;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.checkpoint.TensorEntry;
import io.heatkv.error.UserException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * Converts a checkpoint of any format to a folder of safetensors shards, tensor by tensor.
 * Floating-point tensors take the type asked for; integers and booleans keep theirs.
 */
public final class CheckpointImport {
  /** Bytes of a shard, as HuggingFace's default. */
  public static final long DEFAULT_SHARD_BYTES = 5_000_000_000L;

  private CheckpointImport() {}

  /**
   * What an import did.
   *
   * @param index the index to open
   * @param written shards written
   * @param kept shards of an earlier run whose checksums hold
   * @param overflowed finite elements that became infinite, by tensor, of the shards written
   */
  public record Result(Path index, int written, int kept, Map<String, Long> overflowed) {}

  /**
   * Writes {@code source} into a folder; a run that was cut off goes on where it stopped.
   *
   * @param dtype BF16, F32 or F16
   * @throws UserException if the folder cannot be written or holds another model
   */
  public static Result run(
      Checkpoint source,
      Path folder,
      StorageType dtype,
      long shardBytes,
      ShardedWriter.Progress progress) {
    requireTarget(dtype);
    return run(source, folder, dtype.name(), _ -> dtype, shardBytes, progress);
  }

  /**
   * As above with a type for each floating-point tensor.
   *
   * @param note names the choice of types in the files' notes
   * @param dtype of the tensor of a name: BF16, F32 or F16
   */
  public static Result run(
      Checkpoint source,
      Path folder,
      String note,
      Function<String, StorageType> dtype,
      long shardBytes,
      ShardedWriter.Progress progress) {
    Map<String, Long> overflowed = new TreeMap<>();
    List<Item> items = new ArrayList<>();
    for (String name : source.names()) {
      TensorEntry entry = source.entry(name);
      if (entry.dtype() == StorageType.OPAQUE) {
        throw new UserException(
            "%s: tensor %s is sparse, quantised or without data and can't be converted; save the model without it"
                .formatted(source.path(), name));
      }
      items.add(
          Elements.isFloating(entry.dtype())
              ? converted(entry, requireTarget(dtype.apply(name)), overflowed)
              : new Item(name, entry.dtype(), entry.shape(), sink -> copy(entry, sink)));
    }
    if (items.isEmpty()) {
      throw new UserException(source.path() + ": holds no tensor to convert; check the path");
    }
    Map<String, String> metadata = new HashMap<>();
    metadata.put("format", "pt");
    metadata.put("heatkv.source", Fingerprint.of(source));
    metadata.put("heatkv.dtype", note);
    String random = source.metadata().get(SyntheticCheckpoint.NOTE);
    if (random != null) {
      metadata.put(SyntheticCheckpoint.NOTE, random);
    }
    ShardedWriter.Result result =
        ShardedWriter.write(folder, items, metadata, shardBytes, progress);
    return new Result(
        result.index(), result.written(), result.kept(), Collections.unmodifiableMap(overflowed));
  }

  private static Item converted(
      TensorEntry entry, StorageType dtype, Map<String, Long> overflowed) {
    return new Item(
        entry.name(),
        dtype,
        entry.shape(),
        sink -> {
          long count = Elements.convert(entry, dtype, sink);
          if (count > 0) {
            overflowed.put(entry.name(), count);
          }
          forget(entry);
        });
  }

  private static void copy(TensorEntry entry, Consumer<MemorySegment> sink) {
    sink.accept(entry.bytes());
    forget(entry);
  }

  /** Gives the pages back, or the process would seem to hold all of a large file. */
  private static void forget(TensorEntry entry) {
    if (entry.bytes().isMapped() && entry.bytes().byteSize() > 0) {
      entry.bytes().unload();
    }
  }

  /** The types that weights are kept in. */
  public static StorageType requireTarget(StorageType dtype) {
    return switch (dtype) {
      case BF16, F32, F16 -> dtype;
      default -> throw new IllegalArgumentException(dtype + "; expected BF16, F32 or F16");
    };
  }
}
