package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.json.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SyntheticBenchTest {
  private static final String SCALES = "1x1,2x2,4x4,6x6,8x8";
  // 57 tokens before the last scale, 12 layers, 2 rows, keys and values, 320 channels, 4 bytes.
  private static final double FULL = 57.0 * 12 * 2 * 2 * 320 * 4;

  @Test
  void tellsTimesRatesAndMemory() {
    Run run =
        Run.of(
            "bench",
            "--model=synth:emoji",
            "--scales=1x1,2x2,3x3,4x4,5x5,6x6",
            "--budgets=1.0,0.9",
            "--repeats=1",
            "--calibration",
            "--json");
    assertThat(run.status()).as(run.err()).isZero();
    JsonObject json = JsonObject.parse(Path.of("standard output"), run.out());
    assertThat(json.number("calibration_ratio"))
        .isEqualTo(json.number("calibration_ms") / json.number("generation_ms"));
    // 12 layers, 2 rows, keys and values, 320 channels, 55 tokens before the last scale, 4 bytes.
    assertThat(run.out()).contains("\"kv_bytes\" : " + 12 * 2 * 2 * 320 * 55 * 4);
    assertThat(run.out())
        .contains("\"policy\" : \"heatkv\"", "\"scales_tflops\"", "\"scratch_bytes\"")
        .contains("\"kv_number_bytes\"", "\"kv_loss_bytes\"", "\"kv_table_bytes\"");
  }

  private static Run bench(String... options) {
    return Run.of(
        Stream.concat(
                Stream.of("bench", "--model=synth:emoji", "--scales=" + SCALES, "--repeats=1"),
                Stream.of(options))
            .toArray(String[]::new));
  }

  /** As with a real model; the last scale's keys and values aren't cached. */
  @Test
  void timesThePoliciesAskedFor() {
    String names =
        "full,heatkv,heatkv-paper,streaming-llm,sliding-window,random,snapkv,h2o,pyramidkv";
    Run run = bench("--policy=" + names, "--budgets=0.6,1,60%", "--kv-store=native", "--json");
    assertThat(run.status()).as(run.err()).isZero();
    int i = 0;
    for (String name : names.split(",")) {
      for (double budget : name.equals("full") ? new double[] {1} : new double[] {0.6, 1}) {
        JsonObject one = run.item("runs", i++);
        boolean whole = budget == 1 && name.startsWith("heatkv");
        assertThat(one.text("policy")).isEqualTo(whole ? "full" : name);
        assertThat(one.number("budget")).isEqualTo(budget);
        // Levels have a store of their own, which counts 2 of 4 bytes a number.
        double full = name.equals("heatkv") && !whole ? FULL / 2.0 : FULL;
        assertThat(one.number("kv_bytes")).isBetween((budget - 0.05) * full, budget * full);
      }
    }
    assertThat(run.json().list("runs")).hasSize(i);
  }

  @Test
  void textTellsPolicyAndBudget() {
    assertThat(bench("--policy=random", "--budgets=0.5").out())
        .contains("policy random, budget 0.5, images: 1");
  }

  @Test
  void scaleKvTakesItsAuthorsBudgets(@TempDir Path folder) throws IOException {
    StringBuilder json = new StringBuilder("{\"Scale 5\": {");
    for (int l = 0; l < 12; l++) {
      json.append("\"Block %d\": %d, ".formatted(l, l == 3 ? 1 : 0));
    }
    json.append("\"High\": 1, \"Max\": 50, \"Min\": 20, \"Limit\": 57}}");
    Path budgets = Files.writeString(folder.resolve("budgets.json"), json);
    Run run = bench("--policy=scalekv", "--profile=" + budgets, "--budgets=0.5", "--json");
    assertThat(run.status()).as(run.err()).isZero();
    assertThat(run.item("runs", 0).text("policy")).isEqualTo("scalekv");
    assertThat(run.item("runs", 0).number("budget")).isEqualTo(0.5);
    bench("--policy=heatkv", "--profile=" + budgets).assertRefused("is no calibration profile");
  }

  /** The embedded model's calibration has the sizes of synth:emoji. */
  @Test
  void takesACalibrationOfItsSizes(@TempDir Path folder) {
    Path profile = Run.calibrated(folder, SCALES);
    String names = "heatkv,heatkv-paper,scalekv,hack,ams-kv";
    Run run = bench("--policy=" + names, "--profile=" + profile, "--budgets=0.6", "--json");
    assertThat(run.status()).as(run.err()).isZero();
    for (int i = 0; i < 5; i++) {
      assertThat(run.item("runs", i).text("policy")).isEqualTo(names.split(",")[i]);
    }
    // One sink scale is calibrated, random orders have three: 21 of 57 tokens.
    bench("--policy=heatkv-paper", "--budgets=0.1").assertRefused("expected at least 0.368");
    Run less = bench("--policy=heatkv-paper", "--profile=" + profile, "--budgets=0.1", "--json");
    assertThat(less.status()).as(less.err()).isZero();
    Run greedy = bench("--allocation=greedy", "--profile=" + profile, "--budgets=0.6", "--json");
    assertThat(greedy.item("runs", 0).text("policy")).isEqualTo("heatkv-greedy");
    Run.of("bench", "--model=synth:emoji", "--scales=1x1,2x2,3x3,4x4,8x8", "--profile=" + profile)
        .assertRefused("is of scales " + SCALES + ", but scales 1x1,2x2,3x3");
    Run.of("bench", "--model=synth:infinity-2b", "--scales=" + SCALES, "--profile=" + profile)
        .assertRefused("12 layers of 10 heads, but model infinity-2b has 32 of 16");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "--policy=scalekv|policy scalekv needs a calibration, and random weights have none",
        "--policy=hack|policy hack needs a calibration",
        "--policy=full,ams-kv|policy ams-kv needs a calibration",
        "--allocation=greedy|policy heatkv-greedy needs a calibration",
        "--allocation=greedi|allocation 'greedi' is unknown",
        "--policy=snapkv --allocation=paper|--allocation serves policy heatkv only",
        "--policy=heatkv,full --kv-store=native|--kv-store serves policies that keep or drop tokens",
        "--policy=snapvk|did you mean snapkv?",
        "--policy=snapkv --profile=none.json --budgets=0.05|below the floor of policy snapkv",
        "--policy=heatkv --profile=none.json|none.json",
        "--budgets=abc|'abc' can't be read",
      })
  void refusesWhatItCantTime(String options, String message) {
    bench(options.split(" ")).assertRefused(message);
  }

  @Test
  void theAllocationIsTold() {
    Run run = bench("--allocation=paper", "--budgets=0.6", "--json");
    assertThat(run.status()).as(run.err()).isZero();
    assertThat(run.item("runs", 0).text("policy")).isEqualTo("heatkv-paper");
  }

  @Test
  void whatCantFitIsRefusedInOneLine() {
    Run run = Run.of("bench", "--model=synth:infinity-20b", "--batch=1000");
    assertThat(run.status()).isEqualTo(2);
    assertThat(run.err())
        .startsWith("heatkv: not enough memory on cpu for 1000 pictures at once: about ")
        .hasLineCount(1);
  }

  @Test
  void onlyRandomModelsAreCalibratedByBench() {
    assertThat(Run.of("bench", "--calibration").err())
        .startsWith("heatkv: --calibration and --decoder time random models")
        .hasLineCount(1);
  }
}
