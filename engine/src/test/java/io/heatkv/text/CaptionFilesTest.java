package io.heatkv.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CaptionFilesTest {
  @TempDir Path folder;

  private Path write(String text) throws IOException {
    return Files.writeString(folder.resolve("captions.json"), text);
  }

  @Test
  void firstCaptionOfEachPictureInTheOrderOfPictures() throws IOException {
    Path file =
        write(
            """
            {"info": {}, "images": [{"id": 9}, {"id": 3}, {"id": 5}],
             "annotations": [
               {"image_id": 3, "id": 1, "caption": " A cat. "},
               {"image_id": 9, "id": 2, "caption": "A dog."},
               {"image_id": 3, "id": 3, "caption": "Another cat."},
               {"image_id": 7, "id": 4, "caption": "A bird."}]}
            """);
    assertThat(PromptFiles.read(file)).containsExactly("A dog.", "A cat.", "A bird.");
  }

  @Test
  void listsOfTextsObjectsAndGroups() throws IOException {
    assertThat(
            PromptFiles.read(write("[\"a\", {\"prompt\": \"b\"}, {\"captions\": [\"c\", \"d\"]}]")))
        .containsExactly("a", "b", "c");
    assertThat(PromptFiles.read(write("{\"anime\": [\"a\"], \"photo\": [\"b\", \"c\"]}")))
        .containsExactly("a", "b", "c");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"images\": [{\"id\": 1}], \"annotations\": []}",
        "{\"images\": [{\"id\": 1}]}",
        "{\"annotations\": [{\"image_id\": 1, \"bbox\": [0, 1]}]}",
        "{\"info\": {\"year\": 2017}}",
        "{}",
        "[]"
      })
  void saysThatThereAreNoCaptions(String text) throws IOException {
    Path file = write(text);
    assertThatThrownBy(() -> PromptFiles.read(file))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("captions.json")
        .hasMessageContaining("has no captions")
        .message()
        .hasLineCount(1);
  }

  /** JSON's null stands for a missing value and is never drawn as the word. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "captions.json [null]",
        "captions.json [\"a\", null]",
        "captions.json {\"group\": [\"a\", null]}",
        "captions.json [{\"prompt\": null}]",
        "captions.json [{\"caption\": null, \"captions\": [null, \"a\"]}]",
        "captions.json {\"annotations\": [{\"image_id\": 1, \"caption\": null}, null]}",
        "prompts.jsonl null",
        "prompts.jsonl {\"prompt\": null}",
        "prompts.jsonl {\"caption\": null}",
        "prompts.jsonl {\"captions\": null}",
        "prompts.jsonl {\"captions\": [null]}",
        "prompts.jsonl {\"captions\": [null, \"a\"]}"
      })
  void nullIsNoText(String fileAndText) throws IOException {
    String[] parts = fileAndText.split(" ", 2);
    Path file = Files.writeString(folder.resolve(parts[0]), parts[1]);
    assertThatThrownBy(() -> PromptFiles.read(file))
        .isInstanceOf(UserException.class)
        .hasMessageContaining(parts[0])
        .message()
        .hasLineCount(1);
  }

  @ParameterizedTest
  @ValueSource(strings = {"[\" \"]", "[3]", "[{\"tag\": \"colors\"}]", "{\"a\": [\"b\", \"\"]}"})
  void saysWhichItemHasNoPrompt(String text) throws IOException {
    Path file = write(text);
    assertThatThrownBy(() -> PromptFiles.read(file))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("item ")
        .message()
        .hasLineCount(1);
  }
}
