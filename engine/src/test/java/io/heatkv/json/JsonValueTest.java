package io.heatkv.json;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class JsonValueTest {
  private static JsonObject parsed(String text) {
    return JsonObject.parse(Path.of("a.json"), text);
  }

  @Test
  void nullKeepsItsPlaceInListsAndIsNoText() {
    JsonObject json = parsed("{\"a\": [null, \"null\", [null]], \"b\": null}");
    List<?> items = json.list("a");
    assertThat(items).hasSize(3);
    assertThat(items.getFirst()).isNotNull().isNotInstanceOf(String.class).hasToString("null");
    assertThat(items.get(1)).isEqualTo("null");
    assertThat(json.has("b")).isFalse();
    assertThat(JsonFile.text(out -> JsonValue.write(out, json.values())).replaceAll("\\s", ""))
        .isEqualTo("{\"a\":[null,\"null\",[null]]}");
  }

  @ParameterizedTest
  @ValueSource(strings = {"{\"a\": null}", "{\"a\": [null]}", "{\"a\": {\"a\": null}}"})
  void nullIsRefusedWhereATextIsExpected(String text) {
    assertThatThrownBy(() -> parsed(text).text("a"))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("expected text");
  }
}
