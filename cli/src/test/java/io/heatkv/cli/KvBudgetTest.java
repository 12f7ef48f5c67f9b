package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.json.JsonObject;
import io.heatkv.load.ModelSource;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Pictures drawn under a memory budget. */
class KvBudgetTest {
  private static final String PROMPT = "a red apple, noto style emoji";
  private static final String SCALES = "1x1,2x2,4x4,6x6,8x8";
  // 2 rows, keys and values, 32 channels, 4 bytes.
  private static final long HEAD_TOKEN = 512;
  private static final long FULL = 120 * (1 + 4 + 16 + 36) * HEAD_TOKEN;

  @TempDir static Path shared;
  @TempDir Path folder;

  private static Path profile;

  @BeforeAll
  static void calibrate() {
    profile = Run.calibrated(shared, SCALES);
  }

  private Run generate(String name, String... options) {
    return Run.of(
        Stream.concat(
                Stream.of(
                    "generate",
                    PROMPT,
                    "--seed",
                    "1",
                    "--scales",
                    SCALES,
                    "--threads",
                    "1",
                    "--quiet",
                    "-o",
                    folder.resolve(name).toString()),
                Stream.of(options))
            .toArray(String[]::new));
  }

  private JsonObject drawn(String name, String... options) {
    List<String> all = new ArrayList<>(List.of(options));
    all.add("--json");
    Run run = generate(name, all.toArray(String[]::new));
    assertThat(run.err()).isEmpty();
    assertThat(run.status()).isZero();
    return run.item("images", 0);
  }

  private int[] pixels(String name) throws IOException {
    BufferedImage image = ImageIO.read(folder.resolve(name).toFile());
    return image.getRGB(0, 0, image.getWidth(), image.getHeight(), null, 0, image.getWidth());
  }

  @Test
  void theWholeBudgetIsTheFullCacheBitForBit() throws IOException {
    JsonObject full = drawn("full.png");
    assertThat(full.text("cache")).isEqualTo("full");
    assertThat(full.number("kv_budget")).isEqualTo(1);
    assertThat(full.number("kv_bytes")).isEqualTo(FULL);
    JsonObject whole = drawn("whole.png", "--kv-budget", "1.0", "--profile", profile.toString());
    assertThat(whole.text("cache")).isEqualTo("heatkv");
    assertThat(whole.number("kv_bytes")).isEqualTo(FULL);
    assertThat(pixels("whole.png")).isEqualTo(pixels("full.png"));
  }

  @Test
  void aBudgetIsKeptAndReported() throws IOException {
    drawn("full.png");
    JsonObject half =
        drawn(
            "half.png",
            "--kv-budget",
            "50%",
            "--kv-store",
            "native",
            "--profile",
            profile.toString(),
            "--allocation",
            "greedy");
    assertThat(pixels("half.png")).isNotEqualTo(pixels("full.png"));
    JsonObject schedule =
        Run.of(
                "schedule",
                "--profile",
                profile.toString(),
                "--allocation",
                "greedy",
                "--budget",
                "0.5",
                "--json")
            .json();
    double peak = schedule.number("peak_total_tokens") * HEAD_TOKEN;
    assertThat(half.number("kv_budget")).isEqualTo(0.5);
    assertThat(half.number("kv_bytes")).isEqualTo(peak).isLessThanOrEqualTo(0.5 * FULL);
    assertThat(half.number("kv_peak_bytes")).isEqualTo(peak);
    assertThat(half.number("full_kv_bytes")).isEqualTo(FULL);
    // Keys and values of the last scale in one layer: 64 tokens, 10 heads.
    assertThat(half.number("kv_current_scale_bytes")).isEqualTo(64 * 10 * HEAD_TOKEN);
    assertThat(half.number("kv_workspace_bytes")).isPositive().isLessThan(FULL);

    JsonObject metadata =
        Run.of("inspect", folder.resolve("half.png").toString(), "--json").json().object("heatkv");
    for (String key :
        List.of("kv_budget", "kv_bytes", "kv_table_bytes", "full_kv_bytes", "kv_workspace_bytes")) {
      assertThat(metadata.number(key)).isEqualTo(half.number(key));
    }

    JsonObject bytes =
        drawn(
            "bytes.png",
            "--kv-budget",
            FULL / 2 + "B",
            "--kv-store",
            "native",
            "--profile",
            profile.toString(),
            "--allocation",
            "greedy");
    assertThat(bytes.number("kv_bytes")).isEqualTo(peak);
    assertThat(pixels("bytes.png")).isEqualTo(pixels("half.png"));

    // In 16 bits, as many tokens take half of what they do in float32.
    JsonObject stored =
        drawn(
            "16.png",
            "--kv-budget",
            "50%",
            "--profile",
            profile.toString(),
            "--allocation",
            "greedy");
    assertThat(stored.number("kv_bytes")).isEqualTo(peak / 2);
    JsonObject sized =
        drawn(
            "sized.png",
            "--kv-budget",
            FULL / 4 + "B",
            "--profile",
            profile.toString(),
            "--allocation",
            "greedy");
    assertThat(sized.number("kv_bytes")).isEqualTo(peak / 2);
    assertThat(pixels("sized.png")).isEqualTo(pixels("16.png"));
  }

  @Test
  void fewerBitsHoldMoreTokens() {
    // 34 bytes for 32 numbers instead of 64, of which 50% are allowed.
    JsonObject tokens =
        drawn("8.png", "--policy", "random", "--kv-budget", "50%", "--kv-store", "int8");
    assertThat(tokens.number("kv_bytes")).isBetween(0.249 * FULL, 0.25 * FULL);
    JsonObject whole = drawn("int8.png", "--policy", "int8");
    assertThat(whole.text("cache")).isEqualTo("int8");
    assertThat(whole.number("kv_bytes")).isBetween(34 / 128.0 * FULL, 0.28 * FULL);
    generate("a.png", "--policy", "random", "--kv-budget", "0.5", "--kv-store", "4")
        .assertRefused("KV store '4' is unknown; expected 16, int8, native");
  }

  @Test
  void textTellsTheBytes() {
    Run run =
        Run.of(
            "generate",
            PROMPT,
            "--scales",
            SCALES,
            "--threads",
            "1",
            "--kv-budget",
            "0.5",
            "--profile",
            profile.toString(),
            "-o",
            folder.resolve("a.png").toString());
    // The share counts as the budget does, 2 bytes a number.
    assertThat(run.out())
        .containsPattern("KV cache 8[0-9.]+ KiB \\(4[0-9.]+% of the full cache, budget 0.5\\)")
        .contains("workspace");
  }

  @Test
  void aBatchDrawsTheSamePicturesInOnePass() throws IOException {
    String[] cache = {"--kv-budget", "0.5", "--profile", profile.toString(), "--count", "3"};
    drawn("each.png", cache);
    List<String> options = new ArrayList<>(List.of(cache));
    options.addAll(List.of("--batch", "2", "--json", "--save-scales"));
    Run run = generate("batch.png", options.toArray(String[]::new));
    assertThat(run.status()).isZero();
    JsonObject json = run.json();
    assertThat(json.list("images")).hasSize(3);
    assertThat(run.item("images", 1).number("batch")).isEqualTo(2);
    assertThat(run.item("images", 2).number("batch")).isEqualTo(1);
    assertThat(run.item("images", 1).number("kv_bytes"))
        .isEqualTo(run.item("images", 2).number("kv_bytes"));
    for (int i = 1; i <= 3; i++) {
      assertThat(pixels("batch-" + i + ".png")).isEqualTo(pixels("each-" + i + ".png"));
      assertThat(pixels("batch-" + i + ".scale-05.png")).isEqualTo(pixels("each-" + i + ".png"));
    }
    JsonObject metadata =
        Run.of("inspect", folder.resolve("batch-2.png").toString(), "--json")
            .json()
            .object("heatkv");
    assertThat(metadata.number("seed")).isEqualTo(run.item("images", 1).number("seed"));
  }

  @Test
  void theDefaultProfileServesTheModelsOwnScales() {
    Run run =
        Run.of(
            "generate",
            PROMPT,
            "--seed",
            "7",
            "--threads",
            "1",
            "--quiet",
            "--json",
            "--kv-budget",
            "0.1",
            "-o",
            folder.resolve("a.png").toString());
    assertThat(run.err()).isEmpty();
    JsonObject image = run.item("images", 0);
    assertThat(image.number("full_kv_bytes")).isEqualTo(120 * 1497 * HEAD_TOKEN);
    // A budget counts 2 of the 4 bytes a number.
    assertThat(image.number("kv_bytes"))
        .isLessThanOrEqualTo(0.05 * 120 * 1497 * HEAD_TOKEN)
        .isEqualTo(image.number("kv_peak_bytes"));
    assertThat(run.json().number("peak_resident_bytes")).isGreaterThan(image.number("kv_bytes"));
    // What is in it, and the tables beside it, are those of the schedule: of two rows, and shared.
    JsonObject schedule = Run.of("schedule", "--budget", "0.1", "--json").json();
    assertThat(image.number("kv_number_bytes"))
        .isEqualTo(2 * schedule.number("row_number_bytes"))
        .isPositive();
    assertThat(image.number("kv_loss_bytes")).isEqualTo(2 * schedule.number("row_loss_bytes"));
    assertThat(image.number("kv_table_bytes"))
        .isEqualTo(schedule.number("table_bytes"))
        .isBetween(1.0, 0.03 * 0.05 * 120 * 1497 * HEAD_TOKEN / 2);
  }

  /**
   * The least is the first scale's token in 8 bits: 6 granules of 16 bytes in 120 heads of 2 rows,
   * and the tables of a layer that writes it, 95 numbers of 4 bytes, charged to each row: 23800.
   */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      textBlock =
          """
          0        | expected at least 23800 bytes a picture, 1.3592% of the full cache
          0.01     | expected at least 23800 bytes a picture, 1.3592% of the full cache
          1.1      | more than the full cache
          nan      | 'nan' can't be read
          abc      | 'abc' can't be read
          23799B   | at least 23800 bytes
          """)
  void wrongBudgets(String budget, String expected) {
    generate("a.png", "--kv-budget", budget, "--profile", profile.toString())
        .assertRefused(expected);
    assertThat(folder.resolve("a.png")).doesNotExist();
  }

  @Test
  void wrongProfiles() throws IOException {
    generate("a.png", "--profile", profile.toString()).assertRefused("add --kv-budget");
    generate("a.png", "--kv-budget", "0.5").assertRefused(SCALES + " are asked for");
    refusedProfile(folder.resolve("missing.json"), "no such file");
    String text = Files.readString(profile);
    refusedProfile(written(text.substring(0, text.length() / 2)), "can't be read as JSON");
    refusedProfile(written(text.replaceFirst("\"sums\"", "\"sumz\"")), "sums is missing");
    refusedProfile(written("{\"format\": \"other\"}"), "is no calibration profile");
    String fingerprint = ModelSource.find(ModelSource.EMBEDDED).fingerprint();
    refusedProfile(
        written(text.replace(fingerprint, "0".repeat(64))),
        "model emoji-infinity (fingerprint 000000000000…), but the model is emoji-infinity"
            + " (fingerprint "
            + fingerprint.substring(0, 12));
    refusedProfile(
        written(small(fingerprint)), "1 layers of 1 heads, but model emoji-infinity has 12 of 10");
    Run.of(
            "generate",
            PROMPT,
            "--kv-budget",
            "0.5",
            "--profile",
            profile.toString(),
            "-o",
            folder.resolve("a.png").toString())
        .assertRefused("is of scales " + SCALES + ", but scales 1x1,2x2,4x4,6x6,8x8,12x12");
    assertThat(folder.resolve("a.png")).doesNotExist();
  }

  /** A sound profile of a model with one head. */
  private static String small(String fingerprint) {
    String prompts = "0".repeat(64);
    return """
    {"format": "heatkv-profile", "version": 1, "model": "small", "fingerprint": "%s",
     "layers": 1, "heads": 1, "scale_schedule": "1x1,2x2,4x4", "sink_scales": 1,
     "cfg": [3], "tau": [1], "top_p": 1, "prompts": 1, "prompts_done": 1,
     "prompts_sha256": "%s", "prompt_sets": [{"sha256": "%s", "prompts": 1}],
     "sums": [[[0]]], "scores": [[[0]]], "orders": [[[0, 0]]]}
    """
        .formatted(fingerprint, prompts, prompts);
  }

  private Path written(String text) throws IOException {
    return Files.writeString(folder.resolve("profile.json"), text);
  }

  private void refusedProfile(Path file, String expected) {
    generate("a.png", "--kv-budget", "0.5", "--profile", file.toString()).assertRefused(expected);
  }
}
