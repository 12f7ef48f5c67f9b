package io.heatkv.eval.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import io.heatkv.policy.CachePolicies;
import io.heatkv.schedule.Budget;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class EvaluationConfigTest {
  @TempDir Path folder;

  private Path write(String text) throws IOException {
    return Files.writeString(folder.resolve("a.yaml"), text);
  }

  /** The files that come along are sound, and name policies that exist. */
  @ParameterizedTest
  @ValueSource(strings = {"paper-infinity-2b.yaml", "paper-infinity-8b.yaml"})
  void readsThePapersTables(String name) {
    EvaluationConfig config = EvaluationConfig.read(Path.of(name));
    assertThat(config.sets()).extracting(Preset::name).containsExactly("coco", "geneval", "hpsv2");
    Preset coco = config.sets().getFirst();
    assertThat(coco.first()).contains(5000);
    assertThat(coco.resolution()).contains("1M");
    assertThat(coco.cfg()).contains(3.0);
    assertThat(coco.budgets()).containsExactly("20%", "10%", "5%", "4%");
    assertThat(CachePolicies.names()).containsAll(coco.policies());
    Published table = coco.published().getFirst();
    assertThat(table.source()).contains("2505.19602");
    assertThat(table.rows()).hasSize(15);
    table
        .rows()
        .forEach(row -> {
          assertThat(coco.policies()).contains(row.policy());
          assertThat(Budget.parse(row.budget()).ratio(100)).isIn(0.2, 0.1, 0.04);
          assertThat(row.values()).containsOnlyKeys("psnr", "lpips", "fid");
        });
    assertThat(config.sets().get(1).seeds()).isEqualTo(4);
    assertThat(config.sets())
        .allSatisfy(set -> assertThat(set.budgets()).containsExactly("20%", "10%", "5%", "4%"));
  }

  /** Selected rows of the paper's table 1, on the authors' project page. */
  @Test
  void holdsHeatKvsOwnFigures() {
    Preset coco = EvaluationConfig.read(Path.of("paper-infinity-2b.yaml")).sets().getFirst();
    Published table = coco.published().getLast();
    assertThat(table.source()).contains("2605.14877");
    assertThat(table.rows())
        .containsExactly(
            new Published.Row("scalekv", "20%", Map.of("psnr", 24.93, "lpips", 0.079, "fid", 1.94)),
            new Published.Row(
                "heatkv-paper", "10%", Map.of("psnr", 25.40, "lpips", 0.073, "fid", 1.67)),
            new Published.Row(
                "heatkv-paper", "4%", Map.of("psnr", 22.14, "lpips", 0.127, "fid", 2.70)));
  }

  @Test
  void setsWinOverTheWhole() throws IOException {
    EvaluationConfig config =
        EvaluationConfig.read(
            write(
                """
                title: A
                policies: [heatkv, h2o]
                budgets: [0.1, 5%, 2MiB]
                sets:
                  - {name: one, title: B}
                  - {name: two, title: C, budgets: [0.3], seeds: 3}
                """));
    assertThat(config.sets().getFirst().budgets()).containsExactly("0.1", "5%", "2MiB");
    assertThat(config.sets().getLast().budgets()).containsExactly("0.3");
    assertThat(config.sets().getLast().policies()).containsExactly("heatkv", "h2o");
    assertThat(config.sets().getLast().seeds()).isEqualTo(3);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      textBlock =
          """
          resolutoin: 1M                             | key resolutoin is unknown; expected budgets, cfg
          sets: [{name: a, title: b, sed: 1}]        | key sets[1].sed is unknown
          sets: []                                   | sets is empty
          sets: [3]                                  | sets has 3
          sets: [{name: A b, title: b}]              | name is 'A b'
          sets: [{name: a, title: b}, {name: a, title: b}] | sets has a twice
          sets: [{name: a, title: b, budgets: []}]   | budgets is empty
          sets: [{name: a, title: b, seeds: 0}]      | sets[1].seeds is 0
          sets: [{name: a, title: b, published: [{source: s, rows: [{policy: h, psnr: 1}]}]}] | budget is missing
          sets: [{name: a, title: b, published: [{source: s, rows: [{policy: h, budget: 1, psnr: x}]}]}] | psnr is x
          sets: [{name: a, title: b, published: [{source: s, rows: [{policy: h, budget: abc, psnr: 1}]}]}] | sets[1].published[1].rows[1].budget 'abc' can't be read
          sets: {                                    | can't be read as YAML
          """)
  void isSaidInOneLine(String line, String expected) throws IOException {
    Path file = write("title: T\npolicies: [heatkv]\nbudgets: [0.1]\n" + line + "\n");
    assertThatThrownBy(() -> EvaluationConfig.read(file))
        .isInstanceOf(UserException.class)
        .hasMessageContaining(expected)
        .hasMessageContaining("a.yaml")
        .message()
        .hasLineCount(1);
  }

  @Test
  void missingFile() {
    assertThatThrownBy(() -> EvaluationConfig.read(folder.resolve("none.yaml")))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("no such file");
  }
}
