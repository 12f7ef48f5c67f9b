package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Published files that are damaged, hostile or of different models: one line, status 2, nothing.
 */
class WrongModelFilesTest {
  private static final Path FILES =
      Path.of("..", "engine", "src", "test", "resources", "golden-published");

  @TempDir Path folder;
  private Path transformer;
  private Path vae;
  private Path text;

  @BeforeEach
  void layOut() throws IOException {
    transformer = copyFolder("tiny_2b_weights", "infinity_2b_weights");
    vae = Files.copy(FILES.resolve("tiny_2b.vae.pth"), folder.resolve("infinity_vae_d32.pth"));
    text = copyFolder("flan-t5", "flan-t5-xl");
  }

  @Test
  void aShardThatIsMissing() throws IOException {
    Files.delete(transformer.resolve("model-00002-of-00002.safetensors"));
    refused(
        "model.safetensors.index.json: names the shard 'model-00002-of-00002.safetensors'",
        "which is missing; fetch it");
  }

  @Test
  void aTensorOfAnotherShapeInAShard() throws IOException {
    Path shard = transformer.resolve("model-00001-of-00002.safetensors");
    replace(shard, "\"shape\":[32,256]", "\"shape\":[256,32]");
    refused("ffn.fc2.weight' [256, 32] instead of [32, 256]");
  }

  @Test
  void aTruncatedArchive() throws IOException {
    byte[] bytes = Files.readAllBytes(vae);
    Files.write(vae, Arrays.copyOf(bytes, bytes.length / 2));
    refused("found no image tokenizer", "infinity_vae_d32.pth", "cut short");
  }

  @Test
  void anArchiveWhoseDirectoryLies() throws IOException {
    byte[] bytes = Files.readAllBytes(vae);
    String all = new String(bytes, StandardCharsets.ISO_8859_1);
    int entry = all.lastIndexOf("PK\1\2");
    // Both sizes of the last entry: 1 GiB more than there are.
    bytes[entry + 23] = 0x40;
    bytes[entry + 27] = 0x40;
    Files.write(vae, bytes);
    refused("infinity_vae_d32.pth", "declares 1073741864 bytes, but only 56 follow its header");
  }

  @Test
  void aPickleThatNamesACommand() throws IOException {
    Files.write(
        vae, "\u0080\u0002cos\nsystem\n(U\u0004truetR.".getBytes(StandardCharsets.ISO_8859_1));
    refused("infinity_vae_d32.pth", "os.system");
  }

  @Test
  void anImageTokenizerOfOtherCodes() throws IOException {
    Files.delete(vae);
    Files.copy(FILES.resolve("tiny_8b.vae.pth"), folder.resolve("infinity_vae_d56.pth"));
    refused("infinity_vae_d56.pth: has codes of 14 bits", "infinity_2b_weights", "draws 16 bits");
  }

  @Test
  void aLargeTransformerWithTheTokenizerOfASmallOne() throws IOException {
    try (Stream<Path> files = Files.list(transformer)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.copy(FILES.resolve("tiny_8b.pth"), folder.resolve("infinity_8b.pth"));
    refused(
        "infinity_vae_d32.pth: has codes of 16 bits",
        "infinity_8b.pth draws 56 bits a token (or 4 codes of 14)");
  }

  @Test
  void aTextEncoderOfAnotherWidth() throws IOException {
    replace(text.resolve("config.json"), "\"d_model\": 128", "\"d_model\": 160");
    refused("flan-t5-xl", "the text encoder has 160 channels", "infinity_2b_weights", "reads 128");
  }

  private void refused(String... words) {
    Path picture = folder.resolve("a.png");
    Run run =
        Run.of("generate", "a cat", "--model", folder.toString(), "-o", picture.toString(), "-q");
    assertThat(run.status()).as(run.err()).isEqualTo(2);
    assertThat(run.out()).isEmpty();
    assertThat(run.err()).hasLineCount(1).contains(words);
    assertThat(picture).doesNotExist();
  }

  /** Of the same length, so that all offsets hold. */
  private static void replace(Path file, String before, String after) throws IOException {
    String all = Files.readString(file, StandardCharsets.ISO_8859_1);
    assertThat(all).contains(before);
    Files.writeString(file, all.replace(before, after), StandardCharsets.ISO_8859_1);
  }

  private Path copyFolder(String from, String to) throws IOException {
    Path target = Files.createDirectory(folder.resolve(to));
    try (Stream<Path> files = Files.list(FILES.resolve(from))) {
      for (Path file : files.toList()) {
        Files.copy(file, target.resolve(file.getFileName()));
      }
    }
    return target;
  }
}
