package io.heatkv.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PromptFilesTest {
  @TempDir Path folder;

  private Path write(String name, String text) throws IOException {
    return Files.writeString(folder.resolve(name), text);
  }

  @Test
  void aPromptIsALineAsItStands() throws IOException {
    assertThat(PromptFiles.read(write("a.txt", "\uFEFFa cat \r\n\n\t\n  {\"prompt\": \"b\"}\nc")))
        .containsExactly("a cat ", "  {\"prompt\": \"b\"}", "c");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          {"caption": "b", "prompt": "a", "captions": ["c"]} | a
          {"captions": ["c"], "caption": "b"}                | b
          {"captions": ["c", "d"], "text": "e"}              | c
          """)
  void aPromptGoesBeforeACaptionAndThatBeforeCaptions(String line, String prompt)
      throws IOException {
    assertThat(PromptFiles.read(write("a.JSONL", line))).containsExactly(prompt);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          {"captions": []}    | has no prompt; expected a text
          {"captions": [1]}   | has no prompt; expected a text
          {"text": "a"}       | has no prompt; expected a text
          {"prompt": " "}     | has a blank prompt
          {"caption": null}   | has no prompt; expected a text
          {"prompt": "a\\u0000"} | holds a NUL
          """)
  void theLineWithoutAPromptIsNamed(String line, String expected) throws IOException {
    Path file = write("a.jsonl", "{\"prompt\": \"a\"}\n\n" + line + "\n");
    assertThatThrownBy(() -> PromptFiles.read(file))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("a.jsonl, line 3 " + expected);
  }

  @Test
  void sixteenMebibytesAreTheMost() throws IOException {
    byte[] letters = new byte[(16 << 20) + 1];
    Arrays.fill(letters, (byte) 'a');
    Path file = Files.write(folder.resolve("a.txt"), letters);
    assertThatThrownBy(() -> PromptFiles.read(file))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("a.txt is larger than 16 MiB");
    Files.write(file, Arrays.copyOf(letters, 16 << 20));
    assertThat(PromptFiles.read(file)).singleElement().asString().hasSize(16 << 20);
  }

  @Test
  void whatIsNoFileIsRefused() {
    for (Path file : new Path[] {folder, folder.resolve("none.txt")}) {
      assertThatThrownBy(() -> PromptFiles.read(file))
          .isInstanceOf(UserException.class)
          .hasMessageStartingWith("prompt file " + file + " can't be read; expected");
    }
  }
}
