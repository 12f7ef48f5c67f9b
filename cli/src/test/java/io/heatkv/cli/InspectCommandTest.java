package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.image.Png;
import io.heatkv.image.PngImage;
import io.heatkv.image.PngText;
import io.heatkv.json.JsonObject;
import io.heatkv.load.ModelSource;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class InspectCommandTest {
  private static final Path PUBLISHED =
      Path.of("..", "engine", "src", "test", "resources", "golden-published");
  private static final Path CHECKPOINTS =
      Path.of("..", "engine", "src", "test", "resources", "checkpoint");

  @TempDir Path folder;

  private static Run inspect(Path file, String... options) {
    return Run.of(
        Stream.concat(Stream.of("inspect", file.toString()), Stream.of(options))
            .toArray(String[]::new));
  }

  @Test
  void tellsWhatAFileOfWeightsHolds() {
    Path emoji = ModelSource.find("emoji").folder();
    assertThat(inspect(emoji.resolve("transformer.safetensors")).out())
        .contains("Infinity transformer: 12 layers, 10 heads of 32, width 320, 16 bits a token");
    assertThat(inspect(emoji.resolve("vae.safetensors")).out())
        .contains("image tokenizer (BSQ-VAE): codes of 16 bits, stride 8");
    Run training = inspect(PUBLISHED.resolve("tiny_2b.training.pth"));
    assertThat(training.status()).isZero();
    assertThat(training.out())
        .contains("Infinity transformer", "2 layers, 2 heads of 16, width 32, 16 bits a token");
    assertThat(inspect(PUBLISHED.resolve("flan-t5/model.safetensors.index.json")).out())
        .contains("holds            T5 text encoder\n");
  }

  @Test
  void listsEveryTensor() {
    Run run = inspect(CHECKPOINTS.resolve("others.pth"));
    assertThat(run.out())
        .contains("22 of 2 C128", "  complex64 C64 [2, 3]\n", "  sparse OPAQUE [2, 3]\n");
    JsonObject json = inspect(CHECKPOINTS.resolve("dtypes.safetensors"), "--json").json();
    // As PyTorch wrote them: tools/make_checkpoint_fixtures.py.
    assertThat(json.list("tensors")).hasSize(13);
    assertThat(json.list("tensors"))
        .anySatisfy(tensor ->
            assertThat((Object) tensor)
                .isEqualTo(
                    Map.of("name", "empty", "dtype", "F32", "shape", List.of(3.0, 0.0, 2.0))));
    assertThat(json.object("types").number("F32")).isEqualTo(2);
  }

  @Test
  void aRecordThatAnEditorDamagedHidesNothing() {
    Path file = folder.resolve("a.png");
    PngImage image = new PngImage(1, 1, new byte[3]);
    Png.write(file, image, List.of(PngText.parameters("a cat"), PngText.heatkv("{\"seed\": ")));
    Run run = inspect(file);
    assertThat(run.status()).isZero();
    assertThat(run.out()).contains("a cat", "{\"seed\":");
    assertThat(run.err()).hasLineCount(1).startsWith("heatkv: text heatkv of " + file);
    JsonObject json = inspect(file, "--json").json();
    assertThat(json.list("texts")).hasSize(2);
    assertThat(json.has("heatkv")).isFalse();
  }
}
