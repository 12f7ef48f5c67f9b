package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.json.JsonObject;
import io.heatkv.testkit.toy.ToyFiles;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import javax.imageio.ImageIO;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Every command with a family that draws classes, from a codebook, over odd grids. */
class FamilyCommandsTest {
  private static final Path PUBLISHED =
      Path.of("..", "engine", "src", "test", "resources", "golden-published");

  @TempDir static Path model;
  @TempDir Path folder;

  @BeforeAll
  static void synthesizeAndCalibrate() throws IOException {
    Run made = Run.of("synth", "--like", "toy-3", "--seed", "5", "-o", model.toString());
    assertThat(made.err()).isEmpty();
    assertThat(made.status()).isZero();
    Run calibrated =
        Run.of(
            "calibrate",
            "--prompts=" + Files.writeString(model.resolve("classes.txt"), "circle\n2\n"),
            "--model=" + model,
            "--sink-scales=1",
            "--quiet",
            "-o",
            model.resolve("toy.heatkv.json").toString());
    assertThat(calibrated.err()).isEmpty();
    assertThat(calibrated.status()).isZero();
  }

  /** MODEL is the model's folder, OUT an empty one; what is told is in either stream. */
  private Run run(String line) {
    return Run.of(
        Arrays.stream(line.split(" "))
            .map(word ->
                word.replace("MODEL", model.toString())
                    .replace("OUT", folder.toString())
                    .replace('_', ' '))
            .toArray(String[]::new));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          generate --class circle --class 1 --model MODEL --seed 7 -o OUT/a.png | OUT/a-2.png
          generate --class cross --model MODEL --kv-budget 0.6 -o OUT/a.png --json | "prompt" : "cross"
          generate --class cross --model MODEL --negative-prompt circle -o OUT/a.png | OUT/a.png
          generate --prompts MODEL/classes.txt --model MODEL -o OUT/a.png --save-scales | OUT/a-1.png
          calibrate --class square --model MODEL -o OUT/b.heatkv.json | 1 prompts, model toy
          schedule --model MODEL --budget 0.6 | 0.6
          heatmap --model MODEL --budget 2KiB -o OUT/heat.png | wrote OUT/heat.png
          heatmap --model MODEL -o OUT/heat.svg | wrote OUT/heat.svg
          compare --class circle --model MODEL --budgets 0.6,0.8 -o OUT/c.png | budget 0.6
          evaluate --model MODEL --policies heatkv,snapkv --budgets 0.6 -o OUT/e | heatkv
          evaluate --model MODEL --prompts MODEL/classes.txt --budgets 0.7 --policies random -o OUT/e | random
          bench --model MODEL --repeats 1 --budgets 1.0,0.6 | heatkv
          bench --model synth:toy-3 --repeats 1 --decoder --calibration --budgets 0.8 | policy heatkv
          inspect MODEL | 5 x 7
          inspect MODEL/toy.safetensors | toy transformer: 3 layers
          import MODEL -o OUT/imported --dtype fp32 | OUT/imported
          synth --like toy-3 -o OUT/made | random weights
          doctor | libtorch
          spark-conf --model MODEL --kv-budget 0.6 --executor-cores 2 | # toy in fp32
          completion | heatkv
          man | HEATKV
          """)
  void everyCommandKnowsIt(String line, String told) {
    String expected = told.replace("OUT", folder.toString()).replace("5 x 7", "28 x 20 pixels");
    Run run = run(line);
    assertThat(run.status()).as(run.err()).isZero();
    assertThat(run.out()).contains(expected);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          generate --class triangle --model MODEL -o OUT/a.png | class 'triangle' is unknown; expected circle
          generate --class 3 --model MODEL -o OUT/a.png | class '3' is unknown
          generate --class= --model MODEL -o OUT/a.png | a class is blank
          generate a_circle --model MODEL -o OUT/a.png | model toy draws classes, not texts; name one with --class
          generate a_circle --class circle --model MODEL -o OUT/a.png | leave out one of them
          generate --class circle --model MODEL --negative-prompt dog -o OUT/a.png | class 'dog' is unknown
          generate --class circle --positive-prompt --model MODEL -o OUT/a.png | leave out one of them
          generate --class circle --model emoji -o OUT/a.png | draws texts, not classes
          generate --class circle --cfg-layer=-1 --model MODEL -o OUT/a.png | guidance on logits only
          generate --class circle --model MODEL --resolution 1M -o OUT/a.png | has no choice of resolution or aspect ratio; it draws 28x20 pixels over the grids 1x1,2x3
          generate --class circle --model MODEL --aspect-ratio 1:1 -o OUT/a.png | has no choice of resolution
          generate --class circle --model MODEL --scales 1x1,9x9 -o OUT/a.png | are more or larger than
          bench --model synth:var-d36 --scales 1x1,2x2,3x3,4x4,5x5,6x6,8x8,10x10,13x13,16x16 | model var-d36 draws 512x512 pixels
          calibrate dog --model MODEL -o OUT/p.heatkv.json | model toy draws classes
          calibrate --class dog --model MODEL -o OUT/p.heatkv.json | class 'dog' is unknown
          compare a_circle --model MODEL -o OUT/c.png | model toy draws classes
          compare --class circle --class cross --model MODEL -o OUT/c.png | 2 classes are named
          compare --class dog --model MODEL -o OUT/c.png | class 'dog' is unknown
          compare --class circle -o OUT/c.png | draws texts, not classes
          evaluate --model MODEL --prompts OUT/dogs.txt -o OUT/e | class 'dog' is unknown
          synth --like toy-3 --text -o OUT/made | toy models read no text
          synth --like toy-4 -o OUT/made | toy-3
          verify MODEL | has nothing to compare with
          """)
  void whatItDoesntDrawIsRefusedInOneLine(String line, String message) throws IOException {
    Files.writeString(folder.resolve("dogs.txt"), "dog\n");
    Run run = run(line);
    assertThat(run.err()).contains(message).startsWith("heatkv: ");
    assertThat(run.err().lines().filter(each -> !each.startsWith("heatkv: toy of "))).hasSize(1);
    assertThat(run.status()).isEqualTo(2);
  }

  /** The seed and the class draw the picture, however it is named, loaded or stored. */
  @Test
  void anImportDrawsTheSame() throws IOException {
    for (String line :
        new String[] {
          "generate --class cross --seed 3 --model MODEL -o OUT/a.png",
          "generate --class 2 --seed 3 --model MODEL/toy.safetensors -o OUT/b.png",
          "import MODEL/toy.safetensors -o OUT/imported --dtype fp32",
          "generate --class cross --seed 3 --model OUT/imported -o OUT/c.png"
        }) {
      assertThat(run(line).status()).as(line).isZero();
    }
    BufferedImage first = picture("a.png");
    assertThat(first.getWidth()).isEqualTo(7 * 4);
    for (String other : new String[] {"b.png", "c.png"}) {
      assertThat(rgb(picture(other))).isEqualTo(rgb(first));
    }
  }

  private BufferedImage picture(String name) throws IOException {
    return ImageIO.read(folder.resolve(name).toFile());
  }

  private static int[] rgb(BufferedImage image) {
    return image.getRGB(0, 0, image.getWidth(), image.getHeight(), null, 0, image.getWidth());
  }

  @Test
  void modelsOfTwoFamiliesInOneFolderAreRefused() throws IOException {
    Files.copy(model.resolve(ToyFiles.WEIGHTS), folder.resolve("toy.safetensors"));
    Files.copy(PUBLISHED.resolve("tiny_2b.pth"), folder.resolve("infinity.pth"));
    Run.of("inspect", folder.toString())
        .assertRefused(
            "holds models of several families (Infinity transformer infinity.pth, toy transformer"
                + " toy.safetensors); name one model's folder or file");
    Run alone = run("inspect OUT/toy.safetensors");
    assertThat(alone.status()).as(alone.err()).isZero();
    Run named = run("generate --class circle --model OUT/toy.safetensors -o OUT/a.png");
    assertThat(named.status()).as(named.err()).isZero();
  }

  /** Also for several devices. Which files are mapped is told by the reads of their first bytes. */
  @ParameterizedTest
  @CsvSource({"cpu, cpu", "cpux2, 'cpu,cpu'"})
  void aBudgetOpensEachFileOnce(String device, String devices) throws IOException {
    for (String file : new String[] {"tiny_2b.pth", "tiny_2b.vae.pth"}) {
      Files.copy(PUBLISHED.resolve(file), folder.resolve(file));
    }
    Path text = Files.createDirectory(folder.resolve("text"));
    try (var files = Files.list(PUBLISHED.resolve("flan-t5"))) {
      for (Path file : files.toList()) {
        Files.copy(file, text.resolve(file.getFileName()), StandardCopyOption.REPLACE_EXISTING);
      }
    }
    Run calibrated =
        run(
            "calibrate a_cat --model OUT --scales 1x1,2x2,3x3 --sink-scales 1 -q -o"
                + " OUT/a.heatkv.json");
    assertThat(calibrated.status()).as(calibrated.err()).isZero();
    Map<String, Integer> opened = new TreeMap<>();
    try (Recording recording = new Recording()) {
      recording.enable("jdk.FileRead").withoutThreshold().withStackTrace();
      recording.start();
      Run run =
          run(
              "generate a_cat --model OUT --scales 1x1,2x2,3x3 --kv-budget 0.9 -o OUT/a.png --json"
                  + " --count 2 --device "
                  + device);
      assertThat(run.status()).as(run.err()).isZero();
      assertThat(run.json().list("images")).hasSize(2);
      assertThat(run.json().text("device")).isEqualTo(devices);
      recording.stop();
      Path events = folder.resolve("events.jfr");
      recording.dump(events);
      for (RecordedEvent event : RecordingFile.readAllEvents(events)) {
        if (event.getStackTrace() != null
            && event.getStackTrace().getFrames().stream()
                .anyMatch(frame -> frame.getMethod().getName().equals("mapBytes"))) {
          Path file = Path.of(event.getString("path"));
          opened.merge(String.valueOf(file.getFileName()), 1, Integer::sum);
        }
      }
    }
    // A list of names: first what not to look into, then where tensors lie.
    opened.remove("model.safetensors.index.json");
    assertThat(opened)
        .containsOnlyKeys(
            "tiny_2b.pth",
            "tiny_2b.vae.pth",
            "model-00001-of-00003.safetensors",
            "model-00002-of-00003.safetensors",
            "model-00003-of-00003.safetensors")
        .allSatisfy((_, times) -> assertThat(times).isEqualTo(1));
  }

  @Test
  void aPictureTellsTheClassAndHowItWasDrawn() {
    assertThat(run("generate --class cross --model MODEL -o OUT/a.png").status()).isZero();
    JsonObject json = run("inspect OUT/a.png --json").json();
    assertThat(json.object("heatkv").text("prompt")).isEqualTo("cross");
    assertThat(run("inspect OUT/a.png").out()).contains("Sampler: Multinomial");
  }
}
