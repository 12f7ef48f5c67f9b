package io.heatkv.infinity.load;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.TestDevice;
import io.heatkv.error.UserException;
import io.heatkv.infinity.RotaryNormalization;
import io.heatkv.load.ModelSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A model.json written by hand, of which every key may be left out. */
class ModelPinsTest {
  private static final Path FILES = TestDevice.resource("/golden-published");

  @TempDir Path folder;

  @BeforeEach
  void layOut() throws IOException {
    Files.copy(FILES.resolve("tiny_2b.pth"), folder.resolve("infinity.pth"));
    Files.copy(FILES.resolve("tiny_2b.vae.pth"), folder.resolve("vae.pth"));
    Path text = Files.createDirectory(folder.resolve("text"));
    try (Stream<Path> files = Files.list(FILES.resolve("flan-t5"))) {
      for (Path file : files.toList()) {
        Files.copy(file, text.resolve(file.getFileName()));
      }
    }
  }

  private Finding.Found locate(String json) throws IOException {
    Files.writeString(folder.resolve("model.json"), json);
    return Finding.Found.of(ModelSource.locate(folder.toString()));
  }

  @Test
  void whatItSaysIsTakenAndTheRestInferredAloud() throws IOException {
    Finding.Found found =
        locate(
            """
            {"name": "mine", "sampling": {"tau": 0.25},
             "scale_schedule": [[1, 1, 1], [1, 2, 2], [1, 4, 4]],
             "transformer": {"rope2d_normalized_by_hw": 1, "depth": 2}}\
            """);
    InfinityDescription model = found.description();
    assertThat(model.name()).isEqualTo("mine");
    assertThat(model.tau()).isEqualTo(0.25);
    assertThat(model.grids()).hasToString("1x1,2x2,4x4");
    assertThat(model.transformer().rotary()).isEqualTo(RotaryNormalization.of(1));
    assertThat(model.cfg()).isEqualTo(3);
    assertThat(model.topP()).isEqualTo(0.97);
    assertThat(model.transformer().width()).isEqualTo(32);
    assertThat(model.codeChannels()).isEqualTo(16);
    assertThat(found.notes())
        .anySatisfy(note ->
            assertThat(note)
                .contains("model.json says name, sampling.tau, scale_schedule")
                .contains("transformer.rope2d_normalized_by_hw, transformer.depth; inferred")
                .contains("guidance is 3.0", "tau 0.25", "scales 1x1,2x2,4x4"));
  }

  @Test
  void anEmptyOneSaysNothing() throws IOException {
    assertThat(locate("{}").description().transformerFile())
        .isEqualTo(folder.resolve("infinity.pth"));
    assertThat(locate("{}").notes()).hasSize(1);
  }

  @Test
  void itDecidesAmongSeveralFiles() throws IOException {
    Files.copy(folder.resolve("infinity.pth"), folder.resolve("other.pth"));
    Files.copy(folder.resolve("vae.pth"), folder.resolve("other-vae.pth"));
    assertRefused("{}", "more than one Infinity transformer");
    InfinityDescription model =
        locate(
                """
                {"transformer": {"file": "other.pth"}, "vae": {"file": "vae.pth"},
                 "text_encoder": {"folder": "text"}}\
                """)
            .description();
    assertThat(model.transformerFile()).isEqualTo(folder.resolve("other.pth"));
    assertThat(model.vaeFile()).isEqualTo(folder.resolve("vae.pth"));
    assertThat(model.textEncoder()).isEqualTo(folder.resolve("text"));
  }

  @Test
  void theOnlyCalibrationBesideIsTheModelsOwn() throws IOException {
    Path profile = Files.writeString(folder.resolve("a.heatkv.json"), "{}");
    assertThat(locate("{}").description().profile()).contains(profile);
    assertThat(locate("{}").notes()).contains("calibration profile a.heatkv.json");
    Files.writeString(folder.resolve("b.heatkv.json"), "{}");
    assertThat(locate("{}").description().profile()).isEmpty();
    assertThat(locate("{}").notes())
        .anySatisfy(
            note -> assertThat(note).contains("a.heatkv.json, b.heatkv.json", "as the profile"));
    assertThat(locate("{\"calibration\": {\"file\": \"a.heatkv.json\"}}").description().profile())
        .contains(profile);
  }

  @Test
  void contradictionsNameBothSides() throws IOException {
    assertRefused(
        "{\"transformer\": {\"depth\": 3}}",
        "model.json: transformer.depth is 3",
        "infinity.pth have 2");
    assertRefused(
        "{\"transformer\": {\"num_heads\": 4}}",
        "transformer.num_heads is 4",
        "infinity.pth have 2");
    assertRefused(
        "{\"vae\": {\"codebook_dim\": 14}}",
        "vae.codebook_dim is 14",
        "vae.pth has codes of 16 bits");
    assertRefused("{\"transformer\": {\"file\": \"none.pth\"}}", "none.pth, which doesn't exist");
    assertRefused("{\"vae\": {\"file\": \"../vae.pth\"}}", "outside the model's folder");
    assertRefused("{\"sampling\": {\"cfg\": \"high\"}}", "sampling.cfg is high; expected a number");
    assertRefused("{\"vae\": 3}", "vae is 3", "expected an object");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"[1, 2]", "[1, 2, 2, 2]", "[1, 2.5, 2]", "[1, 2, 2.5]", "[1, \"2\", 2]", "3"})
  void gridsAreHeightAndWidth(String scale) throws IOException {
    assertRefused(
        "{\"scale_schedule\": [[1, 1, 1], " + scale + "]}", "expected [1, height, width]");
    assertThat(locate("{\"scale_schedule\": [[1, 1, 1], [1, 2, 3]]}").description().grids())
        .hasToString("1x1,2x3");
  }

  private void assertRefused(String json, String... words) {
    assertThatThrownBy(() -> locate(json))
        .isInstanceOf(UserException.class)
        .hasMessageContainingAll(words)
        .hasMessageNotContaining("\n");
  }
}
