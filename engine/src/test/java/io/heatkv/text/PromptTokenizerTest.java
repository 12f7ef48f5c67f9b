package io.heatkv.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.util.Ec2Utils;
import io.heatkv.TestDevice;
import io.heatkv.error.UserException;
import java.io.IOException;
import java.lang.reflect.Field;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Token ids end with the end token, also when a prompt is cut. */
class PromptTokenizerTest {
  private static final Path FILE = TestDevice.model().textEncoder().resolve("tokenizer.json");
  private static final int END = 1;

  @Test
  void cutsLongPromptsAndKeepsTheEndToken() {
    String prompt = "a cat and a dog under the moon";
    try (PromptTokenizer whole = PromptTokenizer.open(FILE, 512);
        PromptTokenizer cut = PromptTokenizer.open(FILE, 4)) {
      PromptTokenizer.Tokens all = whole.encode(prompt);
      assertThat(all.truncated()).isFalse();
      assertThat(all.ids()).hasSize(all.tokens()).endsWith(END);
      PromptTokenizer.Tokens four = cut.encode(prompt);
      assertThat(four.truncated()).isTrue();
      assertThat(four.tokens()).isEqualTo(all.tokens());
      assertThat(four.ids()).hasSize(4).startsWith(Arrays.copyOf(all.ids(), 3)).endsWith(END);
      assertThat(whole.encode("").ids()).containsExactly(END);
    }
  }

  /** The library's own properties, of which another user of it in the process may have set some. */
  @ParameterizedTest
  @ValueSource(strings = {"", "false"})
  void openingLeavesTheProcessAsItWas(String before) throws ReflectiveOperationException {
    List<String> names = List.of("ai.djl.offline", "OPT_OUT_TRACKING", "RUST_LIBRARY_PATH");
    names.forEach(name -> set(name, before));
    try (PromptTokenizer tokenizer = PromptTokenizer.open(FILE, 4)) {
      assertThat(tokenizer.encode("a cat").ids()).endsWith(END);
      assertThat(names).extracting(name -> System.getProperty(name, "")).containsOnly(before);
    } finally {
      names.forEach(System::clearProperty);
    }
    // When it last told its makers where it runs.
    Field told = Ec2Utils.class.getDeclaredField("lastCheckIn");
    told.setAccessible(true);
    assertThat(told.getLong(null)).isZero();
  }

  private static void set(String name, String value) {
    if (value.isEmpty()) {
      System.clearProperty(name);
    } else {
      System.setProperty(name, value);
    }
  }

  @Test
  void aFileThatIsNoTokenizerIsNamed(@TempDir Path folder) throws IOException {
    Path absent = folder.resolve("tokenizer.json");
    assertThatThrownBy(() -> PromptTokenizer.open(absent, 10))
        .isInstanceOf(UserException.class)
        .hasMessageContaining(absent.toString())
        .hasMessageContaining("no such file");
    Files.writeString(absent, "{\"version\": 3}");
    assertThatThrownBy(() -> PromptTokenizer.open(absent, 10))
        .isInstanceOf(UserException.class)
        .hasMessageContaining(absent.toString())
        .message()
        .doesNotContain("\n");
  }
}
