package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.eval.Psnr;
import io.heatkv.eval.Ssim;
import io.heatkv.image.PngImage;
import io.heatkv.json.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Policies over a few prompts, at few scales. */
class EvaluateCommandTest {
  private static final String SCALES = "1x1,2x2,4x4,6x6";

  @TempDir static Path shared;
  @TempDir Path folder;

  private static Path profile;
  private static Path whole;

  @BeforeAll
  static void evaluate() throws IOException {
    profile = Run.calibrated(shared, SCALES);
    Files.writeString(shared.resolve("prompts.txt"), "a red apple\na \"cat\", <b>big</b>\n");
    whole = shared.resolve("whole");
    Run run = small("-o", whole.toString());
    assertThat(run.err()).contains("left out: snapkv at 0.1", "floor");
    assertThat(run.status()).isZero();
    assertThat(run.out()).contains("index.html", "heatkv", "random", "as good as heatkv at 10 %");
  }

  /** With options of a small run where they aren't given. */
  private static Run small(String... options) {
    Map<String, String> defaults = new LinkedHashMap<>();
    defaults.put("--prompts", shared.resolve("prompts.txt").toString());
    defaults.put("--policies", "heatkv,random,snapkv");
    defaults.put("--budgets", "0.8,0.1");
    defaults.put("--images", "1");
    defaults.put("--scales", SCALES);
    defaults.put("--threads", "1");
    defaults.put("--profile", profile.toString());
    defaults.keySet().removeAll(List.of(options));
    List<String> arguments = new ArrayList<>(List.of("evaluate"));
    arguments.addAll(List.of(options));
    defaults.forEach((name, value) -> arguments.addAll(List.of(name, value)));
    return Run.of(arguments.toArray(String[]::new));
  }

  private static PngImage picture(String name) throws IOException {
    return PngImage.of(ImageIO.read(whole.resolve("images").resolve(name).toFile()));
  }

  /** The columns of a table but those of times, which differ from run to run. */
  private static List<String> untimed(Path file) throws IOException {
    List<String> lines = Files.readAllLines(file);
    List<String> header = Arrays.asList(lines.getFirst().split(","));
    int first = header.indexOf("transformer_ms");
    if (file.endsWith("summary.csv")) {
      return lines.stream().map(line -> cut(line, first)).toList();
    }
    // Behind the prompt, which has commas.
    return lines.stream()
        .map(line ->
            line.replaceFirst(
                "^(.*,(?:full,|heatkv,[^,]*|random,[^,]*|snapkv,[^,]*),(?:[^,]*,){7})[^,]*", "$1"))
        .toList();
  }

  private static String cut(String line, int columns) {
    return String.join(",", Arrays.asList(line.split(",", -1)).subList(0, columns));
  }

  /** What the tables say equals what the pictures say, measured apart. */
  @Test
  void measuresThePicturesThatItKeeps() throws IOException {
    PngImage full = picture("00001-seed0-full.png");
    PngImage pruned = picture("00001-seed0-heatkv-0.1.png");
    String row =
        Files.readAllLines(whole.resolve("results.csv")).stream()
            .filter(line -> line.startsWith("1,a red apple,0,heatkv,0.1,"))
            .findFirst()
            .orElseThrow();
    List<String> header =
        Arrays.asList(Files.readAllLines(whole.resolve("results.csv")).getFirst().split(","));
    String[] fields = row.split(",");
    assertThat(Double.parseDouble(fields[header.indexOf("psnr")]))
        .isEqualTo(Math.min(60, Psnr.of(full, pruned)));
    assertThat(Double.parseDouble(fields[header.indexOf("ssim")])).isEqualTo(Ssim.of(full, pruned));
    assertThat(Double.parseDouble(fields[header.indexOf("kl")])).isPositive();
    assertThat(Double.parseDouble(fields[header.indexOf("equal_bits")])).isBetween(0.4, 1.0);
    JsonObject summary = JsonObject.read(whole.resolve("summary.json"));
    double bytes = Double.parseDouble(fields[header.indexOf("kv_bytes")]);
    assertThat(bytes).isLessThanOrEqualTo(0.1 * summary.object("full").number("kv_bytes"));
    Map<?, ?> cell =
        summary.list("cells").stream()
            .map(one -> (Map<?, ?>) one)
            .filter(one -> "heatkv".equals(one.get("policy")) && "0.1".equals(one.get("budget")))
            .findFirst()
            .orElseThrow();
    for (String key : List.of("kv_number_bytes", "kv_loss_bytes", "kv_table_bytes")) {
      assertThat(((Number) cell.get(key)).doubleValue())
          .isEqualTo(Double.parseDouble(fields[header.indexOf(key)]))
          .isPositive();
    }
    assertThat(summary.list("absent")).hasSize(1);
    assertThat(Files.list(whole.resolve("images"))).hasSize(1 + 2 * 2 + 1);
  }

  /** A kill loses the batch in progress; what goes on afterwards ends with the same tables. */
  @Test
  void goesOnToTheSameTables() throws IOException {
    Path half = folder.resolve("half");
    copy(whole, half);
    Files.delete(half.resolve("batches/batch-00001.json"));
    Files.delete(half.resolve("index.html"));
    Files.delete(half.resolve("summary.csv"));
    // As if killed while writing.
    Files.writeString(half.resolve("batches/.heatkv-1.tmp"), "{\"first\":");
    Run run = small("-o", half.toString());
    assertThat(run.status()).isEqualTo(2);
    assertThat(run.err()).contains("1 of 2 batches done").hasLineCount(1);
    run = small("--resume", "-q", "-o", half.toString());
    assertThat(run.err()).isEmpty();
    assertThat(run.status()).isZero();
    assertThat(untimed(half.resolve("summary.csv")))
        .isEqualTo(untimed(whole.resolve("summary.csv")));
    assertThat(untimed(half.resolve("results.csv")))
        .isEqualTo(untimed(whole.resolve("results.csv")));
    byte[] page = Files.readAllBytes(half.resolve("index.html"));
    assertThat(small("--resume", "-q", "-o", half.toString()).status()).isZero();
    assertThat(Files.readAllBytes(half.resolve("index.html"))).isEqualTo(page);
  }

  @Test
  void sharesGiveTheSameTables() throws IOException {
    Path shares = folder.resolve("shares");
    Run run = small("--shard", "2/2", "-o", shares.toString());
    assertThat(run.status()).isZero();
    assertThat(run.out()).contains("1 of 2 batches are done");
    assertThat(shares.resolve("index.html")).doesNotExist();
    assertThat(small("--shard", "1/2", "-q", "-o", shares.toString()).status()).isZero();
    assertThat(untimed(shares.resolve("summary.csv")))
        .isEqualTo(untimed(whole.resolve("summary.csv")));
    assertThat(Files.readString(shares.resolve("index.html"))).contains("2 processes shared");
  }

  @Test
  void severalDevicesGiveTheSameTables() throws IOException {
    Path two = folder.resolve("two");
    Run run = small("--device", "cpux2", "-o", two.toString());
    assertThat(run.status()).isZero();
    assertThat(run.err().lines().filter(line -> line.startsWith("drawings")).toList().getLast())
        .contains(" 0 s left");
    for (String table : List.of("summary.csv", "results.csv")) {
      assertThat(untimed(two.resolve(table))).isEqualTo(untimed(whole.resolve(table)));
    }
    assertThat(Files.readString(two.resolve("settings.json")))
        .isEqualTo(Files.readString(whole.resolve("settings.json")));
  }

  @Test
  void otherSettingsAreRefused() throws IOException {
    List<String> before = Files.readAllLines(whole.resolve("settings.json"));
    small("--resume", "--seed", "5", "-o", whole.toString()).assertRefused("seed 0, not 5");
    small("--resume", "--tau", "0.5", "-o", whole.toString()).assertRefused("tau ");
    small("--resume", "--overwrite", "-o", whole.toString()).assertRefused("contradicts --resume");
    assertThat(Files.readAllLines(whole.resolve("settings.json"))).isEqualTo(before);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      textBlock =
          """
          --policies heatkw            | did you mean heatkv? Known: full, int8
          --policies full              | nothing to compare
          --policies random --levels 8 | --levels serves policy heatkv only, not random; leave it out
          --policies heatkv,int8 --kv-store native | tokens only, not heatkv, int8; leave it out
          --policies snapkv --budgets 0.05,0.04,5% | below the floor of policy snapkv
          --budgets abc                | 'abc' can't be read
          --budgets ,                  | --budgets names no BUDGET
          --policies ,                 | --policies names no NAME
          --budgets 1.5                | more than the full cache
          --seeds 0                    | seeds 0 is out of range
          --seed -1                    | seed -1
          --seed 9223372036854775807   | seed 9223372036854775807 is out of range
          --first 0                    | first 0 is out of range
          --batch 0                    | batch 0 is out of range
          --images -1                  | images -1 is out of range
          --shard 3/2                  | shard '3/2'
          --shard 0/2                  | shard '0/2'
          --shard 1/2 --overwrite      | contradicts --shard
          --metric lpips               | has no file
          --metric lpips=              | has no file
          --metric lipps=a.onnx        | metric 'lipps' is unknown
          --metric lpips=none.onnx     | no such file
          --prompts none.txt           | none.txt can't be read
          --prompts a --prompts b      | 2 files of prompts
          --config none.yaml           | no such file
          --scales 1x1,1x1 --policies random --budgets 1 | too small to compare
          """)
  void isSaidInOneLine(String options, String expected) throws IOException {
    List<String> arguments = new ArrayList<>(Arrays.asList(options.split(" ")));
    arguments.addAll(List.of("-o", folder.resolve("report").toString()));
    small(arguments.toArray(String[]::new)).assertRefused(expected);
    assertThat(folder).isEmptyDirectory();
  }

  @Test
  void captionsWithoutCaptions() throws IOException {
    Path file = Files.writeString(folder.resolve("captions.json"), "{\"annotations\": []}");
    Path report = folder.resolve("report");
    Run.of("evaluate", "--prompts", file.toString(), "-o", report.toString())
        .assertRefused("has no captions");
    assertThat(report).doesNotExist();
  }

  @Test
  void aConfigRunsTheSetsThatHavePrompts() throws IOException {
    Path config =
        Files.writeString(
            folder.resolve("a.yaml"),
            """
            title: Small
            policies: [heatkv]
            budgets: [10%]
            sets:
              - name: one
                title: First set
                first: 1
                images: 1
                published: [{source: "Somebody, 2025", rows: [{policy: heatkv, budget: 10%, psnr: 12.5}]}]
              - {name: two, title: Second set}
            """);
    Path prompts = Files.writeString(folder.resolve("p.txt"), "a red apple\na tree\n");
    Path report = folder.resolve("report");
    Run run =
        Run.of(
            "evaluate",
            "--config",
            config.toString(),
            "--prompts",
            "one=" + prompts,
            "--scales",
            SCALES,
            "--threads",
            "1",
            "--profile",
            profile.toString(),
            "-q",
            "-o",
            report.toString());
    assertThat(run.status()).isZero();
    assertThat(run.err()).contains("set two (Second set) is left out").hasLineCount(1);
    assertThat(report).isDirectoryContaining(path -> path.endsWith("one"));
    assertThat(Files.readString(report.resolve("one/index.html")))
        .contains("First set", "Somebody, 2025", "<td>12.5</td>");
    assertThat(Files.readString(report.resolve("one/summary.csv"))).hasLineCount(2);
    Run.of("evaluate", "--config", config.toString(), "-o", report.toString())
        .assertRefused("--prompts SET=FILE for one, two");
    Run.of(
            "evaluate",
            "--config",
            config.toString(),
            "--prompts",
            "three=" + prompts,
            "-o",
            report.toString())
        .assertRefused("a.yaml has no set 'three'; expected one of one, two");
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.toList()) {
        Files.copy(file, to.resolve(from.relativize(file).toString()));
      }
    }
  }
}
