package io.heatkv.json;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is read and written of JSON, up to the ends of its ranges. */
class JsonTest {
  private static final Path SOURCE = Path.of("a.json");

  @TempDir Path folder;

  private static JsonObject value(String text) {
    return JsonObject.parse(SOURCE, "{\"k\": " + text + "}");
  }

  private static void refused(ThrowingCallable read, String expected) {
    assertThatThrownBy(read)
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith("a.json: ")
        .hasMessageContaining(expected)
        .hasMessageNotContaining("\n");
  }

  @ParameterizedTest
  @CsvSource({"1, 1", "16777216, 16777216", "3.0, 3", "1e3, 1000"})
  void sizesAreWholeNumbers(String text, int size) {
    assertThat(value(text).size("k")).isEqualTo(size);
    assertThat(value(text).size("k", 7)).isEqualTo(size);
    assertThat(value(text).size("other", 7)).isEqualTo(7);
  }

  @ParameterizedTest
  @CsvSource({
    "0, k is 0;",
    "-1, k is -1;",
    "16777217, k is 16777217;",
    "1.5, k is 1.5;",
    "9007199254740993, k is 9007199254740993;",
    "'\"3\"', k is 3;",
    "null, k is missing;",
    "true, k is true;"
  })
  void noSizes(String text, String expected) {
    refused(() -> value(text).size("k"), expected + " expected a whole number from 1 to 16777216");
  }

  @ParameterizedTest
  @CsvSource({"true, true", "false, false", "1, true", "0, false", "1.0, true", "null, true"})
  void flagsAreTrueFalseOneOrZero(String text, boolean flag) {
    assertThat(value(text).flag("k", true)).isEqualTo(flag);
    assertThat(value("null").flag("k", false)).isFalse();
  }

  @ParameterizedTest
  @CsvSource({"2", "-1", "0.5", "'\"true\"'", "[]"})
  void noFlags(String text) {
    refused(() -> value(text).flag("k", true), "expected true, false, 1 or 0");
  }

  /** A double holds whole numbers up to 2^53; larger ones stay exact up to 64 bits. */
  @Test
  void numbersAreExact() {
    assertThat(value("9007199254740992").values().get("k")).isEqualTo(0x1p53);
    assertThat(value("-9007199254740992").values().get("k")).isEqualTo(-0x1p53);
    assertThat(value("9007199254740993").values().get("k")).isEqualTo(9007199254740993L);
    assertThat(value("-9223372036854775807").values().get("k")).isEqualTo(-Long.MAX_VALUE);
    assertThat(value("9223372036854775808").values().get("k")).isEqualTo(0x1p63);
    assertThat(value("9007199254740993").number("k")).isEqualTo(0x1p53);
    assertThat(value("3").number("other", 0.5)).isEqualTo(0.5);
  }

  @Test
  void longValuesAreCutInMessages() {
    refused(() -> value("\"" + "x".repeat(40) + "\"").number("k"), " is " + "x".repeat(40) + ";");
    refused(() -> value("\"" + "x".repeat(41) + "\"").number("k"), " is " + "x".repeat(40) + "…;");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          {"a": 1, "a": 2} | Duplicate field 'a'
          {"a": 1} {}      | has text after its JSON document
          [1]              | is not a JSON object
          3                | is not a JSON object or list
          {"a": 1          | can't be read as JSON
          {"a": [1         | line 1
          """)
  void noDocuments(String text, String expected) {
    refused(() -> JsonObject.parse(SOURCE, text), expected);
  }

  @Test
  void nestingEnds() {
    assertThat(value("[".repeat(31) + "]".repeat(31)).has("k")).isTrue();
    refused(() -> value("[".repeat(32) + "]".repeat(32)), "nesting depth");
  }

  @Test
  void largeFilesAreRefusedUnread() throws IOException {
    Path file = folder.resolve("large.json");
    try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
      sparse.setLength((64L << 20) + 1);
      assertThatThrownBy(() -> JsonObject.read(file))
          .isInstanceOf(UserException.class)
          .hasMessageContaining("is larger than 64 MiB");
      sparse.setLength(64L << 20);
      assertThatThrownBy(() -> JsonObject.read(file))
          .isInstanceOf(UserException.class)
          .hasMessageContaining("can't be read as JSON");
    }
    assertThatThrownBy(() -> JsonObject.read(folder))
        .isInstanceOf(UserException.class)
        .hasMessageEndingWith("no such file; expected a JSON file");
  }

  @Test
  void keysOfInnerObjectsAreNamed() {
    JsonObject inner = value("{\"b\": {\"c\": true}}").object("k").object("b");
    refused(() -> inner.number("c"), "k.b.c is true; expected a number");
    refused(() -> inner.text("d"), "k.b.d is missing; expected text");
    refused(() -> inner.list("c"), "expected a list");
    refused(() -> inner.object("c"), "expected an object");
    refused(() -> inner.optionalText("c"), "expected text");
    assertThat(inner.optionalText("d")).isEmpty();
  }

  @Test
  void valuesAreWrittenAsJson() {
    Map<String, Object> values = new LinkedHashMap<>();
    values.put(
        "numbers",
        Arrays.asList(1.0, -0.5, 999999999999999.0, 1e15, 1e300, 7, 9007199254740993L, null));
    values.put("none", List.of(Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY));
    values.put("others", List.of(true, "a\"b", Path.of("c"), Map.of(1, List.of())));
    assertThat(JsonFile.text(json -> JsonValue.write(json, values)).replaceAll("\\s+", ""))
        .isEqualTo(
            "{\"numbers\":[1,-0.5,999999999999999,1.0E15,1.0E300,7,9007199254740993,null],"
                + "\"none\":[null,null,null],\"others\":[true,\"a\\\"b\",\"c\",{\"1\":[]}]}");
  }
}
