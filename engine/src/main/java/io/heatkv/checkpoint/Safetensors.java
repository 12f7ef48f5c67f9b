package io.heatkv.checkpoint;

import io.heatkv.error.UserException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Opens safetensors files without copying: the bytes stay in the mapped file until the checkpoint
 * is closed. The file must not be cut short by others meanwhile.
 */
public final class Safetensors {
  private Safetensors() {}

  /**
   * Opens a single file.
   *
   * @throws UserException if it cannot be read or is not a sound safetensors file
   */
  public static Checkpoint open(Path file) {
    Arena arena = Arena.ofShared();
    try {
      SafetensorsFile mapped = SafetensorsFile.map(file, arena);
      return new MappedCheckpoint(file, arena, mapped.entries(), mapped.metadata());
    } catch (Throwable t) {
      arena.close();
      throw t;
    }
  }

  /**
   * Opens all shards that a {@code *.safetensors.index.json} names, from the index's folder.
   *
   * @throws UserException if the index or a shard is unsound, or they disagree about a tensor
   */
  public static Checkpoint openSharded(Path index) {
    Map<String, String> shardOf = ShardIndex.read(index).shardOf();
    Arena arena = Arena.ofShared();
    try {
      SortedMap<String, TensorEntry> entries = new TreeMap<>();
      Map<String, String> metadata = new LinkedHashMap<>();
      for (String shard : new TreeSet<>(shardOf.values())) {
        Path file = index.resolveSibling(shard);
        if (!Files.exists(file)) {
          throw Problems.of(
              index, "names the shard " + Problems.quote(shard) + ", which is missing; fetch it");
        }
        SafetensorsFile mapped = SafetensorsFile.map(file, arena);
        for (String name : mapped.entries().keySet()) {
          checkListed(index, shard, name, shardOf);
        }
        entries.putAll(mapped.entries());
        mapped.metadata().forEach(metadata::putIfAbsent);
      }
      for (Map.Entry<String, String> listed : shardOf.entrySet()) {
        if (!entries.containsKey(listed.getKey())) {
          throw Problems.damaged(
              index,
              "lists the tensor "
                  + Problems.quote(listed.getKey())
                  + ", which is not in its shard "
                  + Problems.quote(listed.getValue()));
        }
      }
      return new MappedCheckpoint(index, arena, entries, metadata);
    } catch (Throwable t) {
      arena.close();
      throw t;
    }
  }

  private static void checkListed(
      Path index, String shard, String name, Map<String, String> shardOf) {
    String expected = shardOf.get(name);
    if (expected == null) {
      throw Problems.damaged(
          index,
          "does not list the tensor "
              + Problems.quote(name)
              + ", which is in the shard "
              + Problems.quote(shard));
    }
    if (!expected.equals(shard)) {
      throw Problems.damaged(
          index,
          "lists the tensor "
              + Problems.quote(name)
              + " in the shard "
              + Problems.quote(expected)
              + ", but it is in "
              + Problems.quote(shard));
    }
  }
}
