package io.heatkv.checkpoint;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.heatkv.error.UserException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** The {@code weight_map} of a HuggingFace {@code *.index.json}: tensor name to shard file name. */
record ShardIndex(Map<String, String> shardOf) {
  /**
   * Reads an index; anything but its weight_map is skipped.
   *
   * @throws UserException if the file cannot be read, is no index or names a shard by a path
   */
  static ShardIndex read(Path file) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = ModelFile.mapBytes(file, arena);
      if (bytes.byteSize() > SafetensorsFile.LONGEST_HEADER) {
        throw Problems.of(
            file,
            "is "
                + bytes.byteSize()
                + " bytes long; an index has at most "
                + SafetensorsFile.LONGEST_HEADER);
      }
      return StrictJson.parse(file, "the index", bytes.asByteBuffer(), p -> read(file, p));
    }
  }

  private static ShardIndex read(Path file, JsonParser parser) throws IOException {
    Map<String, String> map = null;
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      boolean isMap = Objects.equals(parser.currentName(), "weight_map");
      JsonToken value = parser.nextToken();
      if (!isMap) {
        parser.skipChildren();
        continue;
      }
      if (map != null) {
        throw Problems.damaged(file, "key 'weight_map' appears twice");
      }
      if (value != JsonToken.START_OBJECT) {
        throw Problems.damaged(file, "weight_map is not an object of shard names");
      }
      map = readMap(file, parser);
    }
    return new ShardIndex(checkPresent(file, map));
  }

  private static Map<String, String> checkPresent(Path file, @Nullable Map<String, String> map) {
    if (map == null) {
      throw Problems.of(file, "has no weight_map; expected a *.index.json; check the path");
    }
    if (map.isEmpty()) {
      throw Problems.damaged(file, "has an empty weight_map");
    }
    return map;
  }

  private static Map<String, String> readMap(Path file, JsonParser parser) throws IOException {
    Map<String, String> map = new TreeMap<>();
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String name = StrictJson.text(file, parser);
      if (parser.nextToken() != JsonToken.VALUE_STRING) {
        throw Problems.damaged(
            file, "weight_map gives " + Problems.quote(name) + " a shard that is not a string");
      }
      String shard = StrictJson.text(file, parser);
      if (!isPlainName(shard)) {
        throw Problems.damaged(
            file,
            "weight_map gives "
                + Problems.quote(name)
                + " the shard "
                + Problems.quote(shard)
                + "; expected the name of a file beside the index");
      }
      if (map.put(name, shard) != null) {
        throw Problems.damaged(file, "weight_map has the key " + Problems.quote(name) + " twice");
      }
    }
    return map;
  }

  /** An index must not reach outside its own folder. */
  private static boolean isPlainName(String shard) {
    return !shard.isBlank()
        && !shard.equals(".")
        && !shard.equals("..")
        && shard.chars().noneMatch(c -> c == '/' || c == '\\' || c == ':' || c < ' ');
  }
}
