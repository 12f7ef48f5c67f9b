package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.json.JsonObject;
import io.heatkv.policy.CachePolicies;
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
    return CachePolicies.names().stream()
        .filter(name -> CachePolicies.whole(name).isEmpty())
        .toList();
  }

  @ParameterizedTest
  @MethodSource("policies")
  void drawsWithinTheBudget(String policy) {
    String[] options = {
      "--kv-budget", "0.6", "--profile", profile.toString(), "--json", "--policy"
    };
    Run run = generate(join(options, policy));
    assertThat(run.err()).isEmpty();
    JsonObject image = run.item("images", 0);
    assertThat(image.text("cache")).isEqualTo(policy);
    assertThat(image.number("kv_budget")).isEqualTo(0.6);
    // A budget counts 2 bytes a number, the full cache has 4.
    double full = image.number("full_kv_bytes") / 2;
    // The tables of levels are charged to both rows.
    double tables = policy.equals("heatkv") ? 2 * image.number("kv_table_bytes") : 0;
    assertThat(image.number("kv_bytes") + tables).isBetween(0.59 * full, 0.6 * full);
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
        "--policy= --kv-budget 0.5|KV policy '' is unknown; known: full, int8",
        "--policy , --kv-budget 0.5|--policy names no NAME; see heatkv generate --help",
        "--cfg ,|--cfg names no X",
        "--policy h2o,snapkv --kv-budget 0.5|pictures are drawn by one policy, not by h2o, snapkv",
        "--kv-budget 0.5 --kv-store int8|tokens only, not heatkv; leave it out",
        "--policy heatkv --kv-budget 0.5 --kv-store native|tokens only, not heatkv; leave it out",
        "--policy full --kv-budget 1 --kv-store 16|tokens only, not full; leave it out",
        "--policy int8 --kv-budget 1 --kv-store native|tokens only, not int8; leave it out",
        "--policy kivi --kv-budget 1 --kv-store native|tokens only, not kivi; leave it out",
        "--policy int8 --kv-store native|--kv-store serves a KV budget only; add --kv-budget",
        "--allocation paper|--allocation serves a KV budget only; add --kv-budget such as 0.1",
        "--policy random --kv-budget 0.5 --levels 8|--levels serves policy heatkv only, not random",
        "--levels 8|--levels serves a KV budget only; add --kv-budget such as 0.1",
        "--policy snapkv --kv-budget 0.1|below the floor of policy snapkv, 0.280702",
      })
  void refusesInOneLine(String options, String message) {
    Run run = generate(options.split(" "));
    assertThat(run.status()).isEqualTo(2);
    assertThat(run.err()).contains(message).hasLineCount(1);
  }

  /** The full cache is drawn anyway, equal budgets are one. */
  @Test
  void comparesWhatDiffers() {
    String[] options = {
      "compare", "a red apple", "--seed", "1", "-q", "--json", "-o", folder + "/a.png", "--policy"
    };
    Run run = small(join(join(join(options, "full,random,random"), "--budgets"), "0.5,50%,0.50"));
    assertThat(run.err()).isEmpty();
    assertThat(run.json().list("budgets")).hasSize(1);
    assertThat(run.item("budgets", 0).text("cache")).isEqualTo("random");
    small(join(options, "full")).assertRefused("nothing to compare with the full cache");
  }

  /** All scales but the last: 57 tokens, 12 layers, 2 rows, keys and values, 320 channels. */
  @Test
  void timesEachPolicyOnceUnderEachBudget() {
    Run run =
        small(
            "bench",
            "--policy",
            "full,snapkv,full,snapkv",
            "--budgets",
            "0.5,1,50%,0.50",
            "--batch",
            "1,1",
            "--repeats",
            "1",
            "--json");
    assertThat(run.err()).isEmpty();
    assertThat(run.json().list("runs")).hasSize(3);
    List<String> names = List.of("full", "snapkv", "snapkv");
    List<String> budgets = List.of("1.0", "0.5", "1");
    // Half of the tokens in half of float32's bytes.
    double[] ratios = {1, 0.25, 1};
    for (int i = 0; i < 3; i++) {
      JsonObject one = run.item("runs", i);
      assertThat(one.text("policy")).isEqualTo(names.get(i));
      assertThat(one.text("budget")).isEqualTo(budgets.get(i));
      assertThat(one.number("kv_bytes")).isEqualTo(ratios[i] * 57 * 12 * 2 * 2 * 320 * 4);
    }
  }

  @ParameterizedTest
  @CsvSource({"--budgets,BUDGET", "--batch,N", "--policy,NAME"})
  void benchRefusesEmptyLists(String option, String item) {
    for (String model : List.of("emoji", "synth:emoji")) {
      small("bench", "--model", model, option, ",")
          .assertRefused(option + " names no " + item + "; see heatkv bench --help");
    }
  }

  @Test
  void fullNeedsNoBudget() {
    Run run = generate("--policy", "full", "--json");
    assertThat(run.err()).isEmpty();
    assertThat(run.item("images", 0).text("cache")).isEqualTo("full");
  }
}
