package io.heatkv.json;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import io.heatkv.error.UserException;
import io.heatkv.error.WrongDownload;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * An object of a JSON file; getters name the file and the key in their messages.
 *
 * @param source file that it comes from
 * @param path of keys to this object, for messages
 * @param values by key: Map, List, String, Double, Boolean or absent for null, which keeps its
 *     place in lists only; whole numbers that a Double can't hold exactly are Long
 */
public record JsonObject(Path source, String path, Map<String, Object> values) {
  private static final long MAX_BYTES = 64L << 20;
  private static final long EXACT = 1L << 53;
  private static final JsonFactory JSON =
      JsonFactory.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .streamReadConstraints(
              StreamReadConstraints.builder().maxNestingDepth(32).maxNumberLength(64).build())
          .build();

  /**
   * Reads a file that holds one object.
   *
   * @throws UserException if it is missing, larger than 64 MiB, not JSON or not an object
   */
  public static JsonObject read(Path file) {
    if (readDocument(file) instanceof JsonObject object) {
      return object;
    }
    throw new UserException(file + ": is not a JSON object");
  }

  /**
   * Reads a file that holds one object or one list.
   *
   * @return a JsonObject or a List of values
   * @throws UserException if it is missing, larger than 64 MiB, not JSON or something else
   */
  public static Object readDocument(Path file) {
    try {
      if (!Files.isRegularFile(file)) {
        throw new UserException(file + ": no such file; expected a JSON file");
      }
      if (Files.size(file) > MAX_BYTES) {
        throw new UserException(file + ": is larger than 64 MiB; expected a small JSON file");
      }
      Optional<String> wrong = WrongDownload.in(file);
      if (wrong.isPresent()) {
        throw new UserException(file + ": " + wrong.get());
      }
      return document(file, "JSON", JSON.createParser(Files.readAllBytes(file)));
    } catch (IOException e) {
      throw unreadable(file, "JSON", e);
    }
  }

  /**
   * Reads a file that holds one list.
   *
   * @throws UserException if it is missing, larger than 64 MiB, not JSON or not a list
   */
  public static List<?> readList(Path file) {
    if (readDocument(file) instanceof List<?> list) {
      return list;
    }
    throw new UserException(file + ": is not a JSON list");
  }

  /**
   * Reads a text that holds one object.
   *
   * @param source where it comes from, for messages
   * @throws UserException if it is not JSON or not an object
   */
  public static JsonObject parse(Path source, String text) {
    try {
      if (document(source, "JSON", JSON.createParser(text)) instanceof JsonObject object) {
        return object;
      }
    } catch (IOException e) {
      throw unreadable(source, "JSON", e);
    }
    throw new UserException(source + ": is not a JSON object");
  }

  /**
   * Reads one object from any format that Jackson parses, such as YAML.
   *
   * @param source where it comes from, for messages
   * @param format its name, likewise
   * @param parser is closed
   * @throws UserException if it is not of that format or not an object
   */
  public static JsonObject parse(Path source, String format, JsonParser parser) {
    try {
      if (document(source, format, parser) instanceof JsonObject object) {
        return object;
      }
    } catch (IOException e) {
      throw unreadable(source, format, e);
    }
    throw new UserException(source + ": holds a list; expected keys with values");
  }

  private static Object document(Path source, String format, JsonParser opened) throws IOException {
    try (JsonParser parser = opened) {
      JsonToken first = parser.nextToken();
      if (first != JsonToken.START_OBJECT && first != JsonToken.START_ARRAY) {
        throw new UserException(source + ": is not a " + format + " object or list");
      }
      Object document =
          first == JsonToken.START_OBJECT
              ? new JsonObject(source, "", object(parser))
              : list(parser);
      if (parser.nextToken() != null) {
        throw new UserException(source + ": has text after its " + format + " document");
      }
      return document;
    }
  }

  private static UserException unreadable(Path source, String format, IOException e) {
    String message = e.getMessage();
    String place = "";
    if (e instanceof JsonProcessingException syntax) {
      message = syntax.getOriginalMessage();
      JsonLocation at = syntax.getLocation();
      place = at == null ? "" : ", line %d, column %d".formatted(at.getLineNr(), at.getColumnNr());
    }
    // Without where an open list began, which Jackson tells at length.
    String reason =
        String.valueOf(message)
                .lines()
                .findFirst()
                .orElse("")
                .replaceFirst(" ?\\(start marker at .*", "")
            + place;
    return new UserException(
        source
            + ": can't be read as "
            + format
            + " ("
            + reason
            + "); restore the file or make it again",
        e);
  }

  private static Map<String, Object> object(JsonParser parser) throws IOException {
    Map<String, Object> values = new LinkedHashMap<>();
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String key = parser.currentName();
      parser.nextToken();
      Object value = value(parser);
      if (value != null) {
        values.put(key, value);
      }
    }
    return values;
  }

  private static List<Object> list(JsonParser parser) throws IOException {
    List<Object> items = new ArrayList<>();
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      Object item = value(parser);
      items.add(item == null ? JsonNull.NULL : item);
    }
    return items;
  }

  private static @Nullable Object value(JsonParser parser) throws IOException {
    return switch (parser.currentToken()) {
      case START_OBJECT -> object(parser);
      case START_ARRAY -> list(parser);
      case VALUE_STRING -> parser.getText();
      case VALUE_NUMBER_INT -> whole(parser);
      case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
      case VALUE_TRUE -> true;
      case VALUE_FALSE -> false;
      default -> null;
    };
  }

  private static Number whole(JsonParser parser) throws IOException {
    if (parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER) {
      return parser.getDoubleValue();
    }
    long value = parser.getLongValue();
    return Math.abs(value) <= EXACT ? (Number) (double) value : (Number) value;
  }

  /** Whether the key has a value. */
  public boolean has(String key) {
    return values.containsKey(key);
  }

  /** The object at a key. */
  @SuppressWarnings("unchecked")
  public JsonObject object(String key) {
    if (values.get(key) instanceof Map<?, ?> map) {
      return new JsonObject(source, name(key) + ".", (Map<String, Object>) map);
    }
    throw wrong(key, "an object");
  }

  /** The list at a key. */
  public List<?> list(String key) {
    if (values.get(key) instanceof List<?> list) {
      return list;
    }
    throw wrong(key, "a list");
  }

  public String text(String key) {
    if (values.get(key) instanceof String text) {
      return text;
    }
    throw wrong(key, "text");
  }

  public Optional<String> optionalText(String key) {
    return has(key) ? Optional.of(text(key)) : Optional.empty();
  }

  public double number(String key) {
    if (values.get(key) instanceof Number number) {
      return number.doubleValue();
    }
    throw wrong(key, "a number");
  }

  public double number(String key, double otherwise) {
    return has(key) ? number(key) : otherwise;
  }

  /** A whole number from 1 to 2^24. */
  public int size(String key) {
    if (values.get(key) instanceof Double number
        && number >= 1
        && number <= 1 << 24
        && number == Math.rint(number)) {
      return number.intValue();
    }
    throw wrong(key, "a whole number from 1 to 16777216");
  }

  public int size(String key, int otherwise) {
    return has(key) ? size(key) : otherwise;
  }

  /** True, false, 1 or 0. */
  public boolean flag(String key, boolean otherwise) {
    Object value = values.get(key);
    if (value == null) {
      return otherwise;
    }
    if (value instanceof Boolean flag) {
      return flag;
    }
    if (value instanceof Double number && (number == 0 || number == 1)) {
      return number == 1;
    }
    throw wrong(key, "true, false, 1 or 0");
  }

  private String name(String key) {
    return path + key;
  }

  private UserException wrong(String key, String expected) {
    Object value = values.get(key);
    return new UserException(
        source
            + ": "
            + name(key)
            + (value == null ? " is missing" : " is " + shortened(value))
            + "; expected "
            + expected);
  }

  private static String shortened(Object value) {
    boolean whole = value instanceof Double number && number == Math.rint(number);
    String text = whole ? String.valueOf(((Double) value).longValue()) : String.valueOf(value);
    return text.length() > 40 ? text.substring(0, 40) + "…" : text;
  }
}
