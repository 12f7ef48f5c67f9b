package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.cache.CachePolicies;
import io.heatkv.json.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Pictures drawn by other policies than HeatKV. */
class PolicyOptionsTest {
  // 57 cached tokens in each of 120 heads.
  private static final String SCALES = "1x1,2x2,4x4,6x6,8x8";

  @TempDir static Path shared;
  @TempDir Path folder;

  private static Path profile;

  @BeforeAll
  static void calibrate() {
    profile = Run.calibrated(shared, SCALES);
  }

  private static Run small(String... arguments) {
    List<String> all = new ArrayList<>(List.of(arguments));
    all.addAll(List.of("--scales", SCALES, "--threads", "1"));
    return Run.of(all.toArray(String[]::new));
  }

  private Run generate(String... options) {
    List<String> all = new ArrayList<>(List.of("generate", "a red apple", "--seed", "1", "-q"));
    all.addAll(List.of("-o", folder.resolve("a.png").toString()));
    all.addAll(List.of(options));
    return small(all.toArray(String[]::new));
  }

  private static List<String> policies() {
    return CachePolicies.names().stream().filter(name -> !name.equals("full")).toList();
  }

  @ParameterizedTest
  @MethodSource("policies")
  void drawsWithinTheBudget(String policy) {
    Run run =
        generate(
            "--policy", policy, "--kv-budget", "0.6", "--profile", profile.toString(), "--json");
    assertThat(run.err()).isEmpty();
    JsonObject image = run.item("images", 0);
    assertThat(image.text("cache")).isEqualTo(policy);
    assertThat(image.number("kv_budget")).isEqualTo(0.6);
    double full = image.number("full_kv_bytes");
    assertThat(image.number("kv_bytes")).isBetween(0.59 * full, 0.6 * full);
    assertThat(image.number("kv_peak_bytes")).isBetween(0.45 * full, image.number("kv_bytes"));
    assertThat(Files.exists(folder.resolve("a.png"))).isTrue();
  }

  @Test
  void scaleKvTakesItsAuthorsBudgetsAsAProfile() throws IOException {
    StringBuilder json = new StringBuilder("{\"Scale 5\": {");
    for (int l = 0; l < 12; l++) {
      json.append("\"Block %d\": %d, ".formatted(l, l == 3 ? 1 : 0));
    }
    json.append("\"High\": 1, \"Max\": 50, \"Min\": 20, \"Limit\": 57}}");
    Path budgets = folder.resolve("budgets.json");
    Files.writeString(budgets, json);
    String[] options = {"--kv-budget", "0.5", "--profile", budgets.toString(), "--policy"};
    assertThat(generate(join(options, "scalekv")).err()).isEmpty();
    Run wrong = generate(join(options, "hack"));
    assertThat(wrong.status()).isEqualTo(2);
    assertThat(wrong.err()).contains(budgets + ": is no calibration profile").hasLineCount(1);
  }

  private static String[] join(String[] options, String last) {
    List<String> all = new ArrayList<>(List.of(options));
    all.add(last);
    return all.toArray(String[]::new);
  }

  @Test
  void comparesPoliciesOnOneSheet() {
    Path sheet = folder.resolve("sheet.png");
    Run run =
        small(
            "compare",
            "a red apple",
            "--seed",
            "1",
            "-q",
            "--json",
            "--policy",
            "sliding-window,random",
            "--budgets",
            "0.5,1",
            "-o",
            sheet.toString());
    assertThat(run.err()).isEmpty();
    List<String> names = List.of("sliding-window", "sliding-window", "random", "random");
    for (int i = 0; i < 4; i++) {
      JsonObject row = run.item("budgets", i);
      assertThat(row.text("cache")).isEqualTo(names.get(i));
      double bits = row.number("equal_bits");
      if (i % 2 == 1) {
        assertThat(bits).isEqualTo(1);
      } else {
        assertThat(bits).isBetween(0.3, 0.9999);
      }
    }
    assertThat(Files.exists(sheet)).isTrue();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--policy snapvk --kv-budget 0.5|KV policy 'snapvk' is unknown; did you mean snapkv?",
        "--policy snapkv|--policy snapkv needs a KV budget; add --kv-budget such as 0.1",
        "--policy full --kv-budget 0.5|policy full keeps everything",
        "--policy h2o,snapkv --kv-budget 0.5|pictures are drawn by one policy, not by h2o, snapkv",
        "--policy snapkv --kv-budget 0.1|below the floor of policy snapkv, 0.280702",
      })
  void refusesInOneLine(String options, String message) {
    Run run = generate(options.split(" "));
    assertThat(run.status()).isEqualTo(2);
    assertThat(run.err()).contains(message).hasLineCount(1);
  }

  @Test
  void fullNeedsNoBudget() {
    Run run = generate("--policy", "full", "--json");
    assertThat(run.err()).isEmpty();
    assertThat(run.item("images", 0).text("cache")).isEqualTo("full");
  }
}
