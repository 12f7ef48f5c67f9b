package io.heatkv.error;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.image.Png;
import io.heatkv.json.JsonObject;
import io.heatkv.text.PromptTokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What git and web servers leave in the place of a file is called what it is, by every reader. */
class WrongDownloadTest {
  private static final String POINTER =
      """
      version https://git-lfs.github.com/spec/v1
      oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
      size 12345
      """;

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "m.pth",
        "m.pt",
        "m.bin",
        "m.safetensors",
        "m.safetensors.index.json",
        "config.json",
        "tokenizer.json",
        "spiece.model",
        "a.png"
      })
  void saysWhatItIs(String name) throws IOException {
    Path file = Files.writeString(folder.resolve(name), POINTER);
    refused(file, "is a Git LFS pointer, not the file that it stands for");
    Files.writeString(file, "\n<!DOCTYPE html>\n<html><body>Not found</body></html>");
    refused(file, "is a web page, not the file asked for");
  }

  private void refused(Path file, String words) {
    assertThatThrownBy(() -> read(file))
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith(file + ": " + words)
        .message()
        .hasLineCount(1);
  }

  private Object read(Path file) {
    return switch (file.getFileName().toString()) {
      case "config.json" -> JsonObject.read(file);
      case "tokenizer.json", "spiece.model" -> PromptTokenizer.in(folder, 8);
      case "a.png" -> Png.readMetadata(file);
      default -> Checkpoints.open(file);
    };
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "v", "version 1", "{\"a\": \"<html>\"}"})
  void takesNothingElseForOne(String text) throws IOException {
    assertThat(WrongDownload.in(Files.writeString(folder.resolve("a"), text))).isEmpty();
  }
}
