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

/** Opens the shards of an index, in whichever format each of them is, as one checkpoint. */
final class Shards {
  private Shards() {}

  /**
   * Opens all shards that a {@code *.index.json} names, from the index's folder.
   *
   * @throws UserException if the index or a shard is unsound, or they disagree about a tensor
   */
  static Checkpoint open(Path index) {
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
        ModelFile mapped = ModelFile.map(file, arena);
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
