package io.heatkv.checkpoint;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.exc.InputCoercionException;
import io.heatkv.error.UserException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/**
 * The JSON header of a safetensors file, every tensor checked by itself.
 *
 * @param tensors by name, in the order of the header
 */
record SafetensorsHeader(Map<String, String> metadata, Map<String, Span> tensors) {
  static final String METADATA = "__metadata__";

  /** A tensor's place: bytes {@code begin} to {@code end} (exclusive) of the data section. */
  record Span(String name, StorageType dtype, long[] shape, long begin, long end) {}

  /**
   * Reads a header.
   *
   * @throws UserException if the JSON is not what the format demands, or a tensor's size does not
   *     follow from its shape and dtype
   */
  static SafetensorsHeader parse(Path file, ByteBuffer json) {
    return StrictJson.parse(file, "the header", json, parser -> new Reader(file, parser).read());
  }

  /** One pass over the header's tokens. */
  private static final class Reader {
    private final Path file;
    private final JsonParser parser;

    Reader(Path file, JsonParser parser) {
      this.file = file;
      this.parser = parser;
    }

    SafetensorsHeader read() throws IOException {
      Map<String, String> metadata = null;
      Map<String, Span> tensors = new LinkedHashMap<>();
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String name = StrictJson.text(file, parser);
        if (name.equals(METADATA)) {
          if (metadata != null) {
            throw Problems.damaged(file, "key " + Problems.quote(name) + " appears twice");
          }
          metadata = readMetadata();
        } else if (tensors.put(name, readTensor(name)) != null) {
          throw Problems.damaged(file, "key " + Problems.quote(name) + " appears twice");
        }
      }
      return new SafetensorsHeader(metadata == null ? Map.of() : metadata, tensors);
    }

    /** As the format's own library: null is none, and the last of equal keys holds. */
    private Map<String, String> readMetadata() throws IOException {
      JsonToken start = parser.nextToken();
      if (start == JsonToken.VALUE_NULL) {
        return Map.of();
      }
      if (start != JsonToken.START_OBJECT) {
        throw Problems.damaged(file, METADATA + " is not an object of strings");
      }
      Map<String, String> metadata = new LinkedHashMap<>();
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String key = StrictJson.text(file, parser);
        if (parser.nextToken() != JsonToken.VALUE_STRING) {
          throw Problems.damaged(
              file, METADATA + " key " + Problems.quote(key) + " is not a string");
        }
        metadata.put(key, StrictJson.text(file, parser));
      }
      return metadata;
    }

    private Span readTensor(String name) throws IOException {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        throw bad(name, "is not an object with dtype, shape and data_offsets");
      }
      StorageType dtype = null;
      long[] shape = null;
      long[] offsets = null;
      Set<String> seen = new HashSet<>();
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String field = parser.currentName();
        if (!seen.add(field)) {
          throw bad(name, "has " + Problems.quote(field) + " twice");
        }
        switch (field) {
          case "dtype" -> dtype = readDtype(name);
          case "shape" -> shape = readLongs(name, field);
          case "data_offsets" -> offsets = readLongs(name, field);
          default ->
              throw bad(
                  name,
                  "has an unknown field "
                      + Problems.quote(field)
                      + "; expected dtype, shape and data_offsets");
        }
      }
      return check(
          name,
          present(name, "dtype", dtype),
          present(name, "shape", shape),
          present(name, "data_offsets", offsets));
    }

    private <T> T present(String name, String field, @Nullable T value) {
      if (value == null) {
        throw bad(name, "has no " + field);
      }
      return value;
    }

    private StorageType readDtype(String name) throws IOException {
      if (parser.nextToken() != JsonToken.VALUE_STRING) {
        throw bad(name, "has a dtype that is not a string");
      }
      String dtype = parser.getText();
      return StorageType.named(dtype)
          .orElseThrow(() ->
              Problems.of(
                  file,
                  "tensor "
                      + Problems.quote(name)
                      + " has dtype "
                      + Problems.quote(dtype)
                      + ", which the format doesn't have; convert the file to F32, F16 or BF16"));
    }

    private long[] readLongs(String name, String field) throws IOException {
      if (parser.nextToken() != JsonToken.START_ARRAY) {
        throw bad(name, "has a " + field + " that is not an array of integers");
      }
      LongStream.Builder values = LongStream.builder();
      while (parser.nextToken() != JsonToken.END_ARRAY) {
        if (parser.currentToken() != JsonToken.VALUE_NUMBER_INT) {
          throw bad(name, "has a " + field + " that holds something else than integers");
        }
        long value;
        try {
          value = parser.getLongValue();
        } catch (InputCoercionException e) {
          throw bad(name, "has a " + field + " with a number beyond 63 bits");
        }
        if (value < 0) {
          throw bad(name, "has a " + field + " with the negative number " + value);
        }
        values.add(value);
      }
      return values.build().toArray();
    }

    private Span check(String name, StorageType dtype, long[] shape, long[] offsets) {
      if (offsets.length != 2) {
        throw bad(name, "has " + offsets.length + " data_offsets; expected 2");
      }
      long begin = offsets[0];
      long end = offsets[1];
      if (begin > end) {
        throw bad(name, "begins at byte " + begin + ", after its end " + end);
      }
      long bytes;
      try {
        bytes = dtype.bytesOf(shape);
      } catch (ArithmeticException e) {
        throw bad(
            name,
            "has shape "
                + Problems.shape(shape)
                + " of "
                + dtype
                + ", too large to address or no whole bytes");
      }
      if (bytes != end - begin) {
        throw bad(
            name,
            "has shape "
                + Problems.shape(shape)
                + " of "
                + dtype
                + ", which is "
                + bytes
                + " bytes, but its data_offsets span "
                + (end - begin));
      }
      return new Span(name, dtype, shape, begin, end);
    }

    private UserException bad(String name, String text) {
      return Problems.damaged(file, "tensor " + Problems.quote(name) + " " + text);
    }
  }
}
