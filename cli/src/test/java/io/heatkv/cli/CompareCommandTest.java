package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.eval.Psnr;
import io.heatkv.eval.Ssim;
import io.heatkv.image.PngImage;
import io.heatkv.json.JsonObject;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Pictures of several budgets on one sheet. */
class CompareCommandTest {
  private static final String PROMPT = "a red apple, noto style emoji";
  private static final String SCALES = "1x1,2x2,4x4,6x6,8x8";

  @TempDir static Path shared;
  @TempDir Path folder;

  private static Path profile;

  @BeforeAll
  static void calibrate() {
    profile = Run.calibrated(shared, SCALES);
  }

  private Run small(String command, String... options) {
    return Run.of(
        Stream.concat(
                Stream.of(
                    command,
                    PROMPT,
                    "--scales",
                    SCALES,
                    "--threads",
                    "1",
                    "-q",
                    "--seed",
                    "3",
                    "--profile",
                    profile.toString()),
                Stream.of(options))
            .toArray(String[]::new));
  }

  private String path(String name) {
    return folder.resolve(name).toString();
  }

  private PngImage picture(String name) throws IOException {
    return PngImage.of(ImageIO.read(folder.resolve(name).toFile()));
  }

  /** What compare says equals what generate draws, measured apart. */
  @Test
  void measuresWhatGenerateDraws() throws IOException {
    Run run = small("compare", "--budgets", "1, 0.4,10%", "--json", "-o", path("sheet.png"));
    assertThat(run.err()).isEmpty();
    assertThat(run.status()).isZero();
    JsonObject json = run.json();
    assertThat(json.list("budgets")).hasSize(3);
    assertThat(json.number("seed")).isEqualTo(3);
    JsonObject whole = run.item("budgets", 0);
    assertThat(whole.has("psnr")).isFalse();
    assertThat(whole.number("ssim")).isEqualTo(1);
    assertThat(whole.number("equal_bits")).isEqualTo(1);
    assertThat(whole.number("kv_bytes")).isEqualTo(json.object("full").number("kv_bytes"));

    assertThat(small("generate", "--kv-budget", "1", "-o", path("full.png")).status()).isZero();
    int[] tokens = {1, 4, 16, 36, 64};
    for (int i = 1; i < 3; i++) {
      JsonObject budget = run.item("budgets", i);
      String ratio = i == 1 ? "0.4" : "0.1";
      assertThat(budget.number("kv_budget")).isEqualTo(Double.parseDouble(ratio));
      assertThat(budget.number("kv_bytes"))
          .isLessThanOrEqualTo(budget.number("kv_budget") * budget.number("full_kv_bytes"));
      assertThat(budget.number("kv_number_bytes")).isPositive();
      assertThat(budget.number("kv_table_bytes")).isPositive();
      assertThat(small("generate", "--kv-budget", ratio, "-o", path("a.png")).status()).isZero();
      PngImage full = picture("full.png");
      PngImage pruned = picture("a.png");
      assertThat(budget.number("psnr")).isEqualTo(Psnr.of(full, pruned));
      assertThat(budget.number("ssim")).isEqualTo(Ssim.of(full, pruned));
      List<?> byScale = budget.list("equal_bits_by_scale");
      assertThat(byScale).hasSize(5);
      // Nothing is removed before the budget binds, and nothing before scale 1 can be.
      assertThat(byScale.get(0)).isEqualTo(1.0);
      double equal = 0;
      for (int t = 0; t < 5; t++) {
        equal += (Double) byScale.get(t) * tokens[t];
      }
      assertThat(equal / 121)
          .isCloseTo(budget.number("equal_bits"), org.assertj.core.api.Assertions.within(1e-12));
      assertThat(budget.number("equal_bits")).isBetween(0.5, 0.9999);
    }

    // Pictures of 64x64 are shown fourfold in a sheet of four columns.
    BufferedImage sheet = ImageIO.read(folder.resolve("sheet.png").toFile());
    assertThat(sheet.getWidth()).isEqualTo(16 + 4 * (256 + 16));
    JsonObject metadata = Run.of("inspect", path("sheet.png"), "--json").json();
    assertThat(metadata.object("heatkv").list("budgets")).isEqualTo(json.list("budgets"));
  }

  @Test
  void printsATable() {
    Run run = small("compare", "--budgets", "0.4,80KiB,1", "-o", path("sheet.png"));
    assertThat(run.err()).isEmpty();
    // Shares count 2 bytes a number, as budgets do, though the full cache has 4. Tables are beside
    // them, at most 3 % of a budget.
    assertThat(run.out().lines())
        .anyMatch(line -> line.matches("full cache +3\\.3 MiB +100\\.0%"))
        .anyMatch(line ->
            line.matches(
                "budget 0\\.4 +6\\d\\d\\.\\d KiB +(38\\.[89]|39\\.\\d|40\\.0)% +\\d+\\.\\d\\d +0\\.\\d{4}"
                    + " +\\d\\d\\.\\d%"))
        .anyMatch(line -> line.matches("budget 80KiB +\\d+\\.\\d KiB .*"))
        .anyMatch(line -> line.matches("budget 1 +3\\.3 MiB +100\\.0% +∞ +1\\.0000 +100\\.0%"))
        .anyMatch(line -> line.matches("budget 1 ( +100\\.0){5}"))
        .anyMatch(line -> line.matches(" +1x1 +2x2 +4x4 +6x6 +8x8"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      textBlock =
          """
          --budgets 0          | expected at least 23800 bytes a picture, 1.3592% of the full cache
          --budgets 0.4,23799B | expected at least 23800 bytes a picture
          --budgets 0 --allocation paper | expected at least 0.0175
          --budgets 0.4,29KiB --allocation greedy | at least 30720 bytes
          --budgets 0.5,1.1    | more than the full cache
          --budgets 0.5,nan    | 'nan' can't be read
          --budgets 0.5,,0.1   | '' can't be read
          --budgets abc        | 'abc' can't be read
          --tau 0              | tau 0
          -o a.jpg             | expected NAME.png
          -o missing/a.png     | create it first
          """)
  void isSaidInOneLine(String options, String expected) {
    List<String> arguments = new ArrayList<>(Arrays.asList(options.split(" ")));
    int file = arguments.indexOf("-o") + 1;
    if (file > 0) {
      arguments.set(file, path(arguments.get(file)));
    } else {
      arguments.addAll(List.of("-o", path("a.png")));
    }
    small("compare", arguments.toArray(String[]::new)).assertRefused(expected);
    assertThat(folder).isEmptyDirectory();
  }

  @Test
  void otherMistakes() {
    Run.of("compare", "an apple", "--seed", "-1").assertRefused("seed -1");
    Run.of("compare", " ", "-o", path("a.png")).assertRefused("blank");
    Run.of("compare").assertRefused("no prompt; say what to draw");
    Run.of("compare", "a", "--scales", "1x1", "-o", path("a.png"))
        .assertRefused("too small to compare");
    Run.of("compare", "a", "--profile", profile.toString(), "-o", path("a.png"))
        .assertRefused("is of scales " + SCALES);
  }
}
