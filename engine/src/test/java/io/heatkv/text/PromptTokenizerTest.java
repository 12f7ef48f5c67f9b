package io.heatkv.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.TestDevice;
import io.heatkv.error.UserException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

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
