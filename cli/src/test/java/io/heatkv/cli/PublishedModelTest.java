package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.json.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Models as published, of a tiny size, from the command line. */
class PublishedModelTest {
  private static final Path FILES =
      Path.of("..", "engine", "src", "test", "resources", "golden-published");

  private static final String[] COMPARED = {
    "--argmax", "--no-metadata", "--negative-prompt", "a much longer negative text"
  };

  @TempDir Path folder;
  private Path model;

  @BeforeEach
  void layOut() throws IOException {
    model = Files.createDirectory(folder.resolve("weights"));
    Files.copy(FILES.resolve("tiny_2b.training.pth"), model.resolve("infinity.pth"));
    Files.copy(FILES.resolve("tiny_2b.vae.pth"), model.resolve("vae.pth"));
    Path text = Files.createDirectory(model.resolve("flan-t5"));
    try (Stream<Path> files = Files.list(FILES.resolve("flan-t5"))) {
      for (Path file : files.toList()) {
        Files.copy(file, text.resolve(file.getFileName()));
      }
    }
  }

  @Test
  void drawsFromPublishedFilesAndTheSameAfterAnImport() throws IOException {
    Run first = draw("a.png", model, COMPARED);
    assertThat(first.status()).as(first.err()).isZero();
    assertThat(first.err())
        .contains("depth 2, width 32, 2 heads, 16 bits a token (no patches)")
        .contains("transformer infinity.pth, image tokenizer vae.pth");
    Path imported = folder.resolve("imported");
    Run run = Run.of("import", model.toString(), "-o", imported.toString(), "--dtype", "fp32");
    assertThat(run.status()).as(run.err()).isZero();
    assertThat(run.out()).contains("3 shards written, 0 kept");
    assertThat(
            Run.of("import", model.toString(), "-o", imported.toString(), "--dtype", "fp32").out())
        .contains("0 shards written, 3 kept");
    Run second = draw("b.png", imported, COMPARED);
    assertThat(second.err()).doesNotContain("by its shapes");
    assertThat(Files.readAllBytes(folder.resolve("b.png")))
        .isEqualTo(Files.readAllBytes(folder.resolve("a.png")));
    assertThat(Files.readAllLines(imported.resolve("SHA256SUMS")))
        .anyMatch(line -> line.matches("[0-9a-f]{64}  model\\.json"))
        .anyMatch(line -> line.endsWith("  text_encoder/spiece.model"))
        .anyMatch(line -> line.endsWith("  transformer/model-00001-of-00001.safetensors"));
    assertThat(Run.of("inspect", imported.toString(), "--json").out()).contains("\"bits\" : 16");
  }

  @Test
  void saysNothingWhenQuietAndAddsWordsForFaces() {
    Run run = draw("a.png", model, "--quiet", "--positive-prompt", "--seed", "3", "--cfg", "4,3,2");
    assertThat(run.status()).as(run.err()).isZero();
    assertThat(run.err()).hasLineCount(1).contains("warning: prompt of 67 tokens is cut to 16");
    Run plain = Run.of("inspect", folder.resolve("a.png").toString(), "--json");
    assertThat(JsonObject.parse(Path.of("out"), plain.out()).object("heatkv").text("prompt"))
        .isEqualTo(
            "a woman. very smooth faces, good looking faces, face to the camera, perfect facial"
                + " features");
  }

  @Test
  void wrongFilesAreOneLine() throws IOException {
    Path vae = model.resolve("vae.pth");
    Files.move(vae, folder.resolve("kept.pth"));
    refused("found no image tokenizer");
    Files.copy(FILES.resolve("tiny_8b.vae.pth"), vae);
    refused("has codes of 14 bits", "draws 16 bits a token");
    byte[] bytes = Files.readAllBytes(folder.resolve("kept.pth"));
    Files.write(vae, Arrays.copyOf(bytes, bytes.length - 1000));
    refused("found no image tokenizer", "vae.pth");
    refusedRun(Run.of("import", "nowhere", "-o", folder.toString()), "model 'nowhere' is unknown");
    refusedRun(
        Run.of("import", model.toString(), "-o", folder.toString(), "--dtype", "int8"),
        "dtype 'int8'");
    refusedRun(
        Run.of("synth", "--like", "infinity-3b", "-o", folder.toString()),
        "'infinity-3b'",
        "infinity-2b");
    refusedRun(
        Run.of("synth", "--like", "infinity-2b", "--seed", "-1", "-o", folder.toString()),
        "seed -1");
    refusedRun(Run.of("synth", "--like", "infinity-2b"), "--output");
  }

  private void refused(String... words) {
    refusedRun(draw("a.png", model), words);
    assertThat(folder.resolve("a.png")).doesNotExist();
  }

  private static void refusedRun(Run run, String... words) {
    assertThat(run.status()).isEqualTo(2);
    assertThat(run.out()).isEmpty();
    assertThat(run.err().lines()).hasSize(1);
    assertThat(run.err()).contains(words);
  }

  private Run draw(String file, Path from, String... options) {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "generate",
                "a woman",
                "--model",
                from.toString(),
                "--resolution",
                "0.06M",
                "--threads",
                "1",
                "-o",
                folder.resolve(file).toString()));
    arguments.addAll(Arrays.asList(options));
    return Run.of(arguments.toArray(String[]::new));
  }
}
