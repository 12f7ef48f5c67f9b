package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.image.Png;
import io.heatkv.image.PngText;
import io.heatkv.json.JsonObject;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GenerateCommandTest {
  private static final String PROMPT = "a red apple, noto style emoji";
  private static final String FEW_SCALES = "1x1,2x2,4x4";

  @TempDir Path folder;

  @Test
  void drawsAnAppleWithItsHistory() throws IOException {
    Path file = folder.resolve("apple.png");
    Run run = Run.of("generate", PROMPT, "--seed", "7", "-o", file.toString(), "--threads", "1");
    assertThat(run.status()).isZero();
    assertThat(run.out()).isEqualTo(file + " (seed 7)" + System.lineSeparator());
    assertThat(run.err()).contains("apple.png: scale 1/10 (1x1)", "apple.png: scale 10/10 (32x32)");
    BufferedImage picture = ImageIO.read(file.toFile());
    assertThat(picture.getWidth()).isEqualTo(256);
    assertThat(picture.getHeight()).isEqualTo(256);
    // Emoji stand on white; an apple's middle is red.
    assertThat(picture.getRGB(2, 2) & 0xFF).isGreaterThan(0xE0);
    int middle = picture.getRGB(128, 150);
    assertThat(middle >> 16 & 0xFF).isGreaterThan(0x60 + (middle & 0xFF));

    Run inspected = Run.of("inspect", file.toString());
    assertThat(inspected.status()).isZero();
    assertThat(inspected.out()).contains(PROMPT, "Seed: 7", "Size: 256x256", "\"seed\" : 7");
    JsonObject json = json(Run.of("inspect", file.toString(), "--json").out());
    assertThat(json.object("heatkv").text("prompt")).isEqualTo(PROMPT);
    assertThat(json.object("heatkv").number("seed")).isEqualTo(7);
    assertThat(json.list("texts")).hasSize(2);
  }

  @Test
  void sameSeedSameBytesAndAnotherSeedOthers() throws IOException {
    assertThat(draw("a.png", "--seed", "1")).isEqualTo(draw("b.png", "--seed", "1"));
    assertThat(draw("c.png", "--seed", "2")).isNotEqualTo(draw("b.png", "--seed", "1"));
  }

  @Test
  void severalPicturesAreNumberedAndEachSeedDrawsItAlone() throws IOException {
    Path file = folder.resolve("several.png");
    Path prompts = Files.writeString(folder.resolve("prompts.txt"), PROMPT + "\n\na cat\n");
    Run run =
        Run.of(
            "generate",
            "--prompts",
            prompts.toString(),
            "--count",
            "2",
            "--seed",
            "5",
            "--json",
            "--quiet",
            "--scales",
            FEW_SCALES,
            "--threads",
            "1",
            "-o",
            file.toString());
    assertThat(run.status()).isZero();
    assertThat(run.err()).isEmpty();
    JsonObject json = json(run.out());
    assertThat(json.text("device")).isEqualTo("cpu");
    assertThat(json.text("dtype")).isEqualTo("fp32");
    assertThat(json.list("images")).hasSize(4);
    Map<?, ?> second = (Map<?, ?>) json.list("images").get(1);
    assertThat(second.get("file")).isEqualTo(folder.resolve("several-2.png").toString());
    assertThat(second.get("prompt")).isEqualTo(PROMPT);
    assertThat(second.get("tokens")).isEqualTo(21.0);
    // 12 layers, 2 rows, keys and values, 10 heads of 32 channels, 5 tokens before the last scale.
    assertThat(second.get("kv_bytes")).isEqualTo(12.0 * 2 * 2 * 10 * 32 * 5 * 4);
    assertThat((List<?>) ((Map<?, ?>) second.get("timings_ms")).get("scales")).hasSize(3);
    assertThat(files())
        .containsExactly(
            "prompts.txt", "several-1.png", "several-2.png", "several-3.png", "several-4.png");
    Matcher seed = Pattern.compile("\"seed\" : (\\d+)").matcher(run.out());
    assertThat(seed.find()).isTrue();
    assertThat(seed.group(1)).isEqualTo("5");
    assertThat(seed.find()).isTrue();
    assertThat(draw("alone.png", "--seed", seed.group(1)))
        .isEqualTo(Files.readAllBytes(folder.resolve("several-2.png")));
  }

  @Test
  void severalDevicesWriteTheSameFilesInTheSameOrder() throws IOException {
    List<Map<String, byte[]>> written = new ArrayList<>();
    List<String> told = new ArrayList<>();
    for (String device : List.of("cpu", "cpu×2", "cpux3")) {
      Path own = Files.createDirectory(folder.resolve(device));
      Run run =
          Run.of(
              "generate",
              PROMPT,
              "--count=5",
              "--batch=2",
              "--seed=3",
              "--scales=" + FEW_SCALES,
              "--save-scales",
              "--threads=1",
              "--device=" + device,
              "-o",
              own.resolve("a.png").toString());
      assertThat(run.status()).as(run.err()).isZero();
      assertThat(run.err().lines()).hasSize(3 * 3).allMatch(line -> line.contains(": scale "));
      told.add(run.out().replace(own.toString(), ""));
      Map<String, byte[]> files = new TreeMap<>();
      try (Stream<Path> all = Files.list(own)) {
        for (Path file : all.toList()) {
          files.put(file.getFileName().toString(), Files.readAllBytes(file));
        }
      }
      assertThat(files).hasSize(5 * (1 + 3));
      written.add(files);
    }
    assertThat(told).allMatch(told.getFirst()::equals);
    assertThat(told.getFirst().lines().filter(line -> line.contains("seed")).toList())
        .extracting(line -> line.replaceAll("[^-]*(-\\d\\.png).*", "$1"))
        .containsExactly("-1.png", "-2.png", "-3.png", "-4.png", "-5.png");
    for (Map<String, byte[]> files : written) {
      assertThat(files).containsOnlyKeys(written.getFirst().keySet());
      files.forEach(
          (name, bytes) -> assertThat(bytes).as(name).isEqualTo(written.getFirst().get(name)));
    }
  }

  @Test
  void scalesAreSavedBesideThePicture() throws IOException {
    draw("a.png", "--seed", "1", "--save-scales");
    assertThat(files())
        .containsExactly("a.png", "a.scale-01.png", "a.scale-02.png", "a.scale-03.png");
    BufferedImage last = ImageIO.read(folder.resolve("a.scale-03.png").toFile());
    BufferedImage picture = ImageIO.read(folder.resolve("a.png").toFile());
    assertThat(last.getWidth()).isEqualTo(32);
    for (int y = 0; y < 32; y++) {
      for (int x = 0; x < 32; x++) {
        assertThat(last.getRGB(x, y)).isEqualTo(picture.getRGB(x, y));
      }
    }
    BufferedImage first = ImageIO.read(folder.resolve("a.scale-01.png").toFile());
    assertThat(first.getWidth()).isEqualTo(32);
  }

  @Test
  void metadataCanBeLeftOut() throws IOException {
    draw("a.png", "--no-metadata");
    assertThat(Png.readMetadata(folder.resolve("a.png"))).isEmpty();
    Run run = Run.of("inspect", folder.resolve("a.png").toString());
    assertThat(run.status()).isEqualTo(2);
    assertThat(run.err()).contains("has no metadata");
  }

  /** The regular expression by which the common image tools split the line of settings. */
  @Test
  void settingsAreReadByImageTools() throws IOException {
    draw("a.png", "--seed", "3", "--cfg", "1,2.5", "--negative-prompt", "blur: \"dark\", low");
    List<PngText> texts = Png.readMetadata(folder.resolve("a.png"));
    assertThat(texts.getFirst().keyword()).isEqualTo("parameters");
    List<String> lines = texts.getFirst().text().lines().toList();
    assertThat(lines.subList(0, 2)).containsExactly(PROMPT, "Negative prompt: blur: \"dark\", low");
    Matcher setting =
        Pattern.compile("\\s*(\\w[\\w \\-/]+):\\s*(\"(?:\\\\.|[^\\\\\"])+\"|[^,]*)(?:,|$)")
            .matcher(lines.get(2));
    Map<String, String> settings = new java.util.HashMap<>();
    while (setting.find()) {
      settings.put(setting.group(1), setting.group(2));
    }
    assertThat(settings)
        .containsEntry("Steps", "3")
        .containsEntry("CFG scale", "\"1,2.5\"")
        .containsEntry("Seed", "3")
        .containsEntry("Size", "32x32")
        .containsEntry("Model", "emoji-infinity");
  }

  /** Every picture tells how it was drawn and its own share of the memory, whatever its batch. */
  @Test
  void theRecordTellsAllSettings() throws IOException {
    String options =
        "--count 3 --batch 2 --seed 4 --cfg 1,2.5 --tau 0.5 --top-p 0.9 --argmax"
            + " --cfg-layer -2,0,-1 --negative-prompt blur";
    List<String> arguments =
        new ArrayList<>(List.of("generate", PROMPT, "--scales", "1x1,2x2,3x4", "--threads", "1"));
    arguments.addAll(List.of(options.split(" ")));
    arguments.addAll(List.of("-q", "--json", "-o", folder.resolve("a.png").toString()));
    Run run = Run.of(arguments.toArray(String[]::new));
    assertThat(run.err()).isEmpty();
    for (int i = 0; i < 3; i++) {
      Path file = folder.resolve("a-%d.png".formatted(i + 1));
      JsonObject record = JsonObject.parse(file, Png.readMetadata(file).getLast().text());
      JsonObject printed = run.item("images", i);
      assertThat(record.text("prompt")).isEqualTo(PROMPT);
      assertThat(record.text("negative_prompt")).isEqualTo("blur");
      assertThat(record.values().get("seed")).isEqualTo(printed.values().get("seed"));
      assertThat(record.number("width")).isEqualTo(32);
      assertThat(record.number("height")).isEqualTo(24);
      assertThat(record.text("scales")).isEqualTo("1x1,2x2,3x4");
      assertThat(record.list("cfg")).isEqualTo(List.of(1.0, 2.5));
      assertThat(record.list("tau")).isEqualTo(List.of(0.5));
      assertThat(record.number("top_p")).isEqualTo(0.9);
      assertThat(record.flag("argmax", false)).isTrue();
      assertThat(record.list("cfg_layers")).isEqualTo(List.of(0.0, -1.0, -2.0));
      assertThat(record.text("cache")).isEqualTo("full");
      // 12 layers, 2 rows, keys and values, 320 channels, 5 tokens and the last scale's 12.
      assertThat(record.number("kv_bytes")).isEqualTo(12.0 * 2 * 2 * 320 * 5 * 4);
      assertThat(record.number("full_kv_bytes")).isEqualTo(record.number("kv_bytes"));
      assertThat(record.number("kv_peak_bytes")).isEqualTo(record.number("kv_bytes"));
      assertThat(printed.number("batch")).isEqualTo(i < 2 ? 2 : 1);
      assertThat(printed.number("tokens")).isEqualTo(17);
    }
    assertThat(run.item("images", 0).number("seed")).isEqualTo(4);
    assertThat(Png.readMetadata(folder.resolve("a-1.png")).getFirst().text())
        .contains(
            "Steps: 3, Sampler: Argmax, CFG scale: \"1,2.5\", Seed: 4, Size: 32x24",
            "Tau: 0.5, Top P: 0.9");
  }

  @Test
  void optionsReachTheModel() throws IOException {
    byte[] plain = draw("a.png", "--seed", "1");
    assertThat(draw("b.png", "--seed", "1", "--cfg", "1")).isNotEqualTo(plain);
    assertThat(draw("b.png", "--seed", "1", "--tau", "0.1,0.1")).isNotEqualTo(plain);
    assertThat(draw("b.png", "--seed", "1", "--cfg-layer", "-2")).isNotEqualTo(plain);
    assertThat(pixels(draw("b.png", "--seed", "1", "--argmax")))
        .isEqualTo(pixels(draw("c.png", "--seed", "2", "--argmax")));
  }

  /** What stands at the end of a range is in it. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "--seed 0",
        "--seed 9223372036854775807",
        "--top-p 1",
        "--cfg 1,2,3",
        "--cfg-layer -12",
        "--cfg-layer 0",
        "--batch 1024"
      })
  void boundsAreAccepted(String options) throws IOException {
    byte[] file = draw("a.png", options.split(" "));
    assertThat(ImageIO.read(new ByteArrayInputStream(file)).getWidth()).isEqualTo(32);
  }

  @Test
  void aPromptBeyondTheTextLengthIsCutWithAWarning() throws IOException {
    Path file = folder.resolve("a.png");
    Run run =
        Run.of(
            "generate",
            "apple ".repeat(600),
            "--scales",
            FEW_SCALES,
            "--threads",
            "1",
            "--quiet",
            "-o",
            file.toString());
    assertThat(run.status()).isZero();
    assertThat(run.err()).contains("warning: prompt of ", "is cut to 512").hasLineCount(1);
    assertThat(file).exists();
  }

  @Test
  void sizeFollowsAspectRatioAndResolution() throws IOException {
    Path file = folder.resolve("wide.png");
    Run run =
        Run.of(
            "generate",
            PROMPT,
            "--aspect-ratio",
            "16:9",
            "--resolution",
            "0.06M",
            "--threads",
            "1",
            "--quiet",
            "-o",
            file.toString());
    assertThat(run.status()).isZero();
    BufferedImage picture = ImageIO.read(file.toFile());
    // Template 0.571 (4:7) of the dynamic resolution: 7 scales, the last of 12 x 21 tokens.
    assertThat(picture.getWidth()).isEqualTo(21 * 8);
    assertThat(picture.getHeight()).isEqualTo(12 * 8);
  }

  private byte[] draw(String name, String... options) throws IOException {
    Path file = folder.resolve(name);
    List<String> arguments =
        Stream.concat(
                Stream.of(
                    "generate",
                    PROMPT,
                    "--scales",
                    FEW_SCALES,
                    "--threads",
                    "1",
                    "--quiet",
                    "-o",
                    file.toString()),
                Stream.of(options))
            .toList();
    Run run = Run.of(arguments.toArray(String[]::new));
    assertThat(run.err()).isEmpty();
    assertThat(run.status()).isZero();
    return Files.readAllBytes(file);
  }

  private static int[] pixels(byte[] png) throws IOException {
    BufferedImage image = ImageIO.read(new ByteArrayInputStream(png));
    return image.getRGB(0, 0, image.getWidth(), image.getHeight(), null, 0, image.getWidth());
  }

  private static JsonObject json(String text) {
    return JsonObject.parse(Path.of("standard output"), text);
  }

  private List<String> files() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }
}
