package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.json.JsonObject;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.profile.PromptMeasurement;
import io.heatkv.profile.PromptSet;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.CalibrationSetup;
import io.heatkv.schedule.LevelCosts;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Schedules from head orders and from the embedded model's profile. */
class ScheduleCommandTest {
  // A layout of 2 layers and 2 heads whose least needed heads are obvious.
  private static final String ORDERS = "[[[0,0],[1,0],[0,1],[1,1]],[[1,1],[0,1],[1,0],[0,0]]]";

  @TempDir Path folder;

  /** The small orders with options that take the place of these defaults. */
  private Run orders(String... options) throws IOException {
    Path file = folder.resolve("orders.json");
    if (!Files.exists(file)) {
      Files.writeString(file, ORDERS);
    }
    Map<String, String> defaults = new LinkedHashMap<>();
    defaults.put("--orders", file.toString());
    defaults.put("--layers", "2");
    defaults.put("--heads", "2");
    defaults.put("--scales", "1x1,2x2,4x4,6x6");
    defaults.put("--sink-scales", "1");
    defaults.keySet().removeAll(List.of(options));
    List<String> arguments = new ArrayList<>(List.of("schedule"));
    defaults.forEach((name, value) -> arguments.addAll(List.of(name, value)));
    arguments.addAll(List.of(options));
    return Run.of(arguments.toArray(String[]::new));
  }

  /** Worked out by hand after section 4 of the reference's rules; see the comment inside. */
  @Test
  void canonicalTextIsExactAndAlone() throws Exception {
    // Full: 4 heads x 21 tokens = 84. Budget 0.5: 42. Sinks 4; scale 1 adds 16: 20 is below 42.
    // Before scale 3, in = 21, x = ceil(4 (21 - 10.5) / (21 - 1)) = 3 heads of each source go.
    // Scale 2, layer 0: both heads of layer 0 are among the first 3 of source 2: [1,1] [0,1]
    // [1,0], so head 1 goes, head 0 keeps 16: 20 - 8 (source 1, layer 0) + 16 = 28. Layer 1: both
    // gone: 28 - 4 ([0,1] of source 1) = 24.
    Run run = orders("--budget", "0.5", "--canonical");
    assertThat(run.err()).isEmpty();
    assertThat(run.status()).isZero();
    String expected =
        "{\"early_activation_by_scale\":{\"0\":{},\"1\":{},\"2\":{},\"3\":{}},"
            + "\"removed_heads_by_scale\":{\"0\":[],\"1\":[],\"2\":[],"
            + "\"3\":[[1,0,0],[1,0,1],[1,1,0],[2,0,1],[2,1,0],[2,1,1]]}}";
    assertThat(run.out()).isEqualTo(expected);
    String hash =
        HexFormat.of()
            .formatHex(
                MessageDigest.getInstance("SHA-256")
                    .digest(expected.getBytes(StandardCharsets.US_ASCII)));
    assertThat(orders("--budget", "50%").out())
        .contains("sha256 " + hash, "peak 28 of 84 head-tokens");
    JsonObject json =
        JsonObject.parse(Path.of("standard output"), orders("--budget", "5e-1", "--json").out());
    assertThat(json.text("sha256")).isEqualTo(hash);
    assertThat(json.number("peak_total_tokens")).isEqualTo(28);

    Path saved = folder.resolve("schedule.json");
    assertThat(orders("--budget", "0.5", "-o", saved.toString()).status()).isZero();
    assertThat(Files.readString(saved)).isEqualTo(expected);
  }

  @Test
  void everythingIsKeptWithTheWholeBudget() throws IOException {
    assertThat(orders("--budget", "1", "--canonical").out())
        .isEqualTo(
            "{\"early_activation_by_scale\":{\"0\":{},\"1\":{},\"2\":{},\"3\":{}},"
                + "\"removed_heads_by_scale\":{\"0\":[],\"1\":[],\"2\":[],\"3\":[]}}");
  }

  @Test
  void theDefaultIsTheEmbeddedModelsProfile() {
    Run run = Run.of("schedule", "--budget", "0.1", "--json");
    assertThat(run.err()).isEmpty();
    JsonObject json = JsonObject.parse(Path.of("standard output"), run.out());
    assertThat(json.number("num_layers")).isEqualTo(12);
    assertThat(json.number("num_heads")).isEqualTo(10);
    // 120 heads of 1497 cached tokens; 2 rows, keys and values, 32 channels, 2 bytes in any type.
    assertThat(json.number("full_bytes")).isEqualTo(179_640 * 256);
    long bytes = 17_964 * 256;
    assertThat(json.number("peak_bytes")).isLessThanOrEqualTo(bytes);
    // Tables are there once, but charged to both rows.
    assertThat(json.number("peak_bytes") + json.number("table_bytes"))
        .isLessThanOrEqualTo(bytes)
        .isGreaterThan(0.99 * bytes);
    assertThat(Run.of("schedule", "--budget", bytes + "B", "--json").out()).isEqualTo(run.out());
    assertThat(Run.of("schedule", "--budget", bytes + "B", "--dtype", "bf16", "--json").out())
        .isEqualTo(run.out());
    assertThat(Run.of("schedule", "--budget", "0.1", "--json", "--model", "emoji").out())
        .isEqualTo(run.out());
    assertThat(Run.of("schedule", "--budget", "0.1", "--json", "--resolution", "0.25M").out())
        .isEqualTo(run.out());
    assertThat(
            Run.of("schedule", "--budget", "0.1", "--json", "--allocation", "rate-distortion")
                .out())
        .isEqualTo(run.out());
  }

  @Test
  void aModelOfThirteenScalesHasAProfileOfItsOwn() {
    Run run = Run.of("schedule", "--model", "emoji-512", "--budget", "4%", "--json");
    assertThat(run.status()).isZero();
    JsonObject json = JsonObject.parse(Path.of("standard output"), run.out());
    // 120 heads of 6425 cached tokens; 2 rows, keys and values, 32 channels, 2 bytes.
    double full = 120.0 * 6425 * 256;
    assertThat(json.number("full_bytes")).isEqualTo(full);
    assertThat(json.number("peak_bytes") + json.number("table_bytes"))
        .isLessThanOrEqualTo(0.04 * full)
        .isGreaterThan(0.039 * full);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      textBlock =
          """
          0                      | budget 0.0 is infeasible, the 1 sink scales are always kept; expected at least 0.0476
          0.047                  | expected at least 0.0476
          1.1                    | more than the full cache
          -0.1                   | is negative
          nan                    | 'nan' can't be read
          abc                    | 'abc' can't be read
          5MiB                   | expected a ratio
          0.5 --canonical --json | leave out one
          0.5 --model emoji      | leave out --profile and --model
          0.5 --sink-scales 3    | sink scales 3
          0.5 --sink-scales -1   | sink scales -1
          0.5 --sink-scales 0    | 2 orders; expected 3
          0.5 --layers 3         | has 4 entries; expected 6
          0.5 --heads 0          | 0 heads
          0.5 --scales 1x1,2x2   | sink scales 1
          0.5 --scales 1x1 --aspect-ratio 16:9 | leave out
          0.5 --scales 1M --resolution 1M | leave out --resolution
          0.5 -o missing/a.json  | create it first
          0.5 -o .               | is a folder
          """)
  void wrongInputIsSaidInOneLine(String options, String expected) throws IOException {
    List<String> arguments = new ArrayList<>(List.of("--budget"));
    for (String option : options.split(" ")) {
      boolean path = arguments.getLast().equals("-o");
      arguments.add(path ? folder.resolve(option).toString() : option);
    }
    refused(orders(arguments.toArray(String[]::new)), expected);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          [[0,0],[1,0],[0,0],[1,1]] | source scale 1, entry 2 repeats [0, 0] of entry 0
          [[0,0],[1,0],[0,1]]       | source scale 1 has 3 entries; expected 4
          [[0,0],[1,0],[0,1],[1,2]] | source scale 1, entry 3 has layer 2
          [[0,0],[2,0],[0,1],[1,1]] | source scale 1, entry 1 has head 2
          [[0,0],[1,0],[0,1],[1]]   | source scale 1, entry 3 is no pair
          """)
  void wrongOrdersAreNamedByPosition(String order, String expected) throws IOException {
    Files.writeString(folder.resolve("orders.json"), "[" + order + ",[[1,1],[0,1],[1,0],[0,0]]]");
    refused(orders("--budget", "0.5"), expected);
  }

  /**
   * Rules that drop whole scales keep 120 heads of 21 sink tokens of 256 bytes; levels keep the
   * first scale's token in 8 bits, as worked out in {@link KvBudgetTest}.
   */
  @ParameterizedTest
  @CsvSource({"greedy,645120", "paper,645120", "rate-distortion,23800"})
  void bytesBelowTheMinimumNameTheMinimum(String rule, int least) {
    String[] command = {"schedule", "--allocation", rule, "--budget", ""};
    for (String less : List.of("0B", least - 1 + "B")) {
      command[4] = less;
      refused(Run.of(command), "at least " + least + " bytes");
    }
    command[4] = least + "B";
    assertThat(Run.of(command).status()).isZero();
  }

  @Test
  void sizesBelongToOrdersAndOrdersNeedThem() {
    refused(Run.of("schedule", "--budget", "0.1", "--layers", "2"), "leave them out");
    refused(Run.of("schedule", "--budget", "0.1", "--orders", "x", "--layers", "2"), "--heads");
    refused(Run.of("schedule"), "--budget");
  }

  private static void refused(Run run, String expected) {
    assertThat(run.err()).contains(expected).startsWith("heatkv: ").hasLineCount(1);
    assertThat(run.out()).isEmpty();
    assertThat(run.status()).isEqualTo(2);
  }

  /** The embedded model's profile, sinks of 21 tokens in 120 heads and a list of atoms. */
  @Test
  void allocationsDifferUnderTheSameBudget() throws Exception {
    Run greedy = Run.of("schedule", "--budget", "0.1", "--allocation", "greedy", "--json");
    Run paper = Run.of("schedule", "--budget", "0.1", "--allocation", "paper", "--json");
    for (Run run : List.of(greedy, paper)) {
      JsonObject json = JsonObject.parse(Path.of("standard output"), run.out());
      // A tenth of 120 heads of 1,497 tokens.
      assertThat(json.number("peak_total_tokens")).isBetween(120.0 * 21, 17_964.0);
    }
    assertThat(paper.out()).isNotEqualTo(greedy.out());
    refused(
        Run.of("schedule", "--budget", "0.1", "--allocation", "best"),
        "rate-distortion, greedy, paper");
    refused(orders("--budget", "0.5", "--allocation", "greedy"), "--orders");
  }

  /** A profile of 2 layers of 2 heads in which later scales and worse levels cost more. */
  private Path levelProfile() {
    CalibrationSetup setup =
        new CalibrationSetup(
            "m",
            "ab",
            2,
            2,
            ScaleGrids.parse("1x1,4x4,8x8,9x9"),
            1,
            List.of(3.0),
            List.of(1.0),
            1,
            0,
            32);
    double[][][][] costs = new double[3][2][2][LevelCosts.LEVELS];
    for (int s = 0; s < 3; s++) {
      for (double[][] layer : costs[s]) {
        for (double[] head : layer) {
          for (int i = 0; i < head.length; i++) {
            head[i] = (s + 1) * (i == 0 ? 20 : i - 1);
          }
        }
      }
    }
    Path file = folder.resolve("levels.heatkv.json");
    CalibrationProfile.start(setup, PromptSet.of(List.of("a"), 0))
        .plus(
            new PromptMeasurement(
                new double[4][4][2][2], Optional.empty(), new double[3][2][2], costs))
        .write(file);
    return file;
  }

  private Run levels(String... options) {
    List<String> arguments = new ArrayList<>(List.of("schedule", "--profile"));
    arguments.add(levelProfile().toString());
    arguments.addAll(List.of("--allocation", "rate-distortion"));
    arguments.addAll(List.of(options));
    return Run.of(arguments.toArray(String[]::new));
  }

  /** 4 heads of 81 tokens of 128 bytes in each of 2 rows: 82,944 bytes. */
  @Test
  void levelsKeepToABudgetInBytes() throws Exception {
    Run run = levels("--budget", "25%", "--json");
    assertThat(run.err()).isEmpty();
    JsonObject json = JsonObject.parse(Path.of("standard output"), run.out());
    assertThat(json.number("full_bytes")).isEqualTo(82_944);
    assertThat(json.number("peak_bytes")).isBetween(18_000.0, 20_736.0);
    assertThat(json.number("peak_bytes"))
        .isEqualTo(
            2
                    * (json.number("row_data_bytes")
                        + json.number("row_number_bytes")
                        + json.number("row_loss_bytes"))
                + json.number("table_bytes"));
    assertThat(levels("--budget", "20736B", "--json").out()).isEqualTo(run.out());
    assertThat(levels("--budget", "25%").out()).contains("sha256 " + json.text("sha256"));
    // Fewer levels buy less.
    JsonObject only =
        JsonObject.parse(
            Path.of("standard output"), levels("--budget", "25%", "--levels", "8", "--json").out());
    assertThat(only.object("levels_by_scale").object("3").values())
        .containsOnlyKeys("dropped", "8");

    Path saved = folder.resolve("schedule.json");
    assertThat(levels("--budget", "25%", "-o", saved.toString()).status()).isZero();
    JsonObject file = JsonObject.read(saved);
    assertThat(file.text("format")).isEqualTo("heatkv-schedule");
    assertThat(file.number("version")).isEqualTo(2);
    assertThat(file.object("levels_by_scale").values()).containsKeys("0", "1", "2", "3");
    assertThat(levels("--budget", "25%", "--canonical").out()).isEqualTo(Files.readString(saved));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          --budget 0.001               | expected at least 952 bytes a picture, 1.1478% of the full cache
          --budget 100B                | bytes a picture
          --budget 1B                  | of the full cache
          --budget 0.5 --levels 2      | level '2' is unknown
          --budget 0.5 --levels 8;4    | level '8;4' is unknown
          """)
  void wrongLevelsAndBudgetsAreSaidInOneLine(String options, String expected) {
    refused(levels(options.split(" +")), expected);
  }

  @Test
  void levelsBelongToTheirRuleAndNeedTheirCosts() throws Exception {

    refused(
        Run.of("schedule", "--budget", "0.1", "--allocation", "paper", "--levels", "8"),
        "--levels serves allocation rate-distortion only, not paper");
    refused(orders("--budget", "0.5", "--levels", "8"), "--levels serves a profile only");
    Path old = folder.resolve("old.heatkv.json");
    Files.writeString(
        old,
        Files.readString(levelProfile())
            .replaceFirst("(?s),\\s*\"level_costs\" : \\{.*?\\n {2}\\}", ""));
    refused(
        Run.of(
            "schedule",
            "--profile",
            old.toString(),
            "--budget",
            "0.5",
            "--allocation",
            "rate-distortion"),
        "has no level costs, which allocation rate-distortion needs");
  }
}
