package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.json.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Calibrations, their progress and their sums. */
class CalibrateCommandTest {
  private static final String SCALES = "1x1,2x2,4x4,6x6";

  @TempDir Path folder;

  private Run calibrate(String output, String... options) {
    return Run.of(
        Stream.concat(
                Stream.of(
                    "calibrate",
                    "--scales",
                    SCALES,
                    "--sink-scales",
                    "1",
                    "--threads",
                    "1",
                    "-o",
                    folder.resolve(output).toString()),
                Stream.of(options))
            .toArray(String[]::new));
  }

  private String read(String name) throws IOException {
    return Files.readString(folder.resolve(name));
  }

  private String path(String name) {
    return folder.resolve(name).toString();
  }

  @Test
  void promptsOfBothKindsOfFileGiveTheSameProfile() throws IOException {
    Path lines = Files.writeString(folder.resolve("a.txt"), "\uFEFFa cat\n\n  a tree\n");
    Path json =
        Files.writeString(
            folder.resolve("a.jsonl"),
            "{\"prompt\": \"a cat\", \"caption\": \"no\"}\n\n"
                + "{\"captions\": [\"  a tree\", \"no\"], \"other\": [1]}\n");
    Run first = calibrate("a.json", "--prompts", lines.toString());
    assertThat(first.status()).isZero();
    assertThat(first.out()).contains("a.json (2 prompts, model emoji-infinity)");
    assertThat(first.err()).containsPattern("a.json: prompt 1/2, [0-9.]+ prompts/s, \\d+ s left");
    assertThat(first.err()).contains("prompt 2/2").doesNotContain("going on");
    Run second = calibrate("b.json", "--prompts", json.toString(), "--json", "--quiet");
    assertThat(second.err()).isEmpty();
    assertThat(read("b.json")).isEqualTo(read("a.json"));
    JsonObject report = JsonObject.parse(Path.of("standard output"), second.out());
    JsonObject profile = JsonObject.read(folder.resolve("b.json"));
    assertThat(report.number("prompts")).isEqualTo(2);
    assertThat(report.number("prompts_before")).isZero();
    assertThat(report.number("prompts_per_second")).isPositive();
    assertThat(report.text("prompts_sha256")).isEqualTo(profile.text("prompts_sha256"));
    assertThat(report.text("fingerprint")).isEqualTo(profile.text("fingerprint"));
    assertThat(calibrate("c.json", "a cat", "  a tree", "-q").status()).isZero();
    assertThat(read("c.json")).isEqualTo(read("a.json"));
  }

  @Test
  void mergesAreExactInAnyOrder() throws IOException {
    for (String[] part :
        new String[][] {{"a", "0", "a cat"}, {"b", "1", "a tree"}, {"c", "2", "a dog"}}) {
      assertThat(calibrate(part[0] + ".json", "-q", "--seed", part[1], part[2]).status()).isZero();
    }
    assertThat(calibrate("whole.json", "-q", "a cat", "a tree", "a dog").status()).isZero();
    merge("abc.json", "a.json", "b.json", "c.json");
    merge("cab.json", "c.json", "a.json", "b.json");
    merge("ab.json", "a.json", "b.json");
    merge("nested.json", "c.json", "ab.json");
    assertThat(read("cab.json")).isEqualTo(read("abc.json"));
    assertThat(read("nested.json")).isEqualTo(read("abc.json"));
    JsonObject whole = JsonObject.read(folder.resolve("whole.json"));
    JsonObject merged = JsonObject.read(folder.resolve("abc.json"));
    for (String key : List.of("sums", "scores", "orders")) {
      assertThat(merged.list(key)).isEqualTo(whole.list(key));
    }

    refused(merging("x.json", "a.json", "a.json"), "both count the prompts");
    refused(merging("x.json", "ab.json", "b.json"), "both count the prompts");
    refused(merging("x.json", "a.json", "missing.json"), "no such file");
    Files.writeString(folder.resolve("cut.json"), read("a.json").substring(0, 500));
    refused(merging("x.json", "a.json", "cut.json"), "can't be read as JSON");
    assertThat(calibrate("hot.json", "-q", "--tau", "0.9", "a bird").status()).isZero();
    refused(merging("x.json", "a.json", "hot.json"), "has tau [0.9], but ");
    assertThat(folder.resolve("x.json")).doesNotExist();
  }

  private void merge(String output, String... parts) {
    Run run = merging(output, parts);
    assertThat(run.err()).isEmpty();
    assertThat(run.status()).isZero();
  }

  private Run merging(String output, String... parts) {
    List<String> arguments = new ArrayList<>(List.of("calibrate", "--merge"));
    for (String part : parts) {
      arguments.add(path(part));
    }
    arguments.addAll(List.of("-o", path(output)));
    return Run.of(arguments.toArray(String[]::new));
  }

  @Test
  void comparisonsSayHowFarProfilesAgree() throws IOException {
    assertThat(calibrate("a.json", "-q", "a cat").status()).isZero();
    // Other guidance and temperature may be compared, unlike merged.
    assertThat(calibrate("b.json", "-q", "--tau", "0.9", "--seed", "1", "a tree").status())
        .isZero();
    Run same = Run.of("calibrate", "--compare", path("a.json"), path("a.json"));
    assertThat(same.status()).isZero();
    assertThat(same.out())
        .containsPattern("S-CAS +1.0000 +1.0000 +1.0000")
        .containsPattern("level costs +1.0000 +1.0000 +1.0000")
        .contains("both count the same 1 prompts")
        .contains("10.00%   1.0000");
    Run other = Run.of("calibrate", "--compare", path("a.json"), path("b.json"), "--json");
    assertThat(other.err()).isEmpty();
    JsonObject report = JsonObject.parse(Path.of("standard output"), other.out());
    assertThat(report.number("shared_prompts")).isZero();
    assertThat(report.list("missing")).isEmpty();
    for (String ranks : List.of("s_cas", "removal_costs", "level_costs")) {
      assertThat(report.object(ranks).number("overall")).isBetween(0.5, 0.9999);
    }
    assertThat(report.list("schedules")).hasSize(4);

    refusedComparison("no such file", "a.json", "missing.json");
    refusedComparison("at least 2 values", "a.json");
    refusedComparison("leave out the prompts", "a.json", "b.json", "b.json");
    refused(
        Run.of("calibrate", "--compare", "a", "b", "--seed", "1", "-o", path("x.json")),
        "--compare draws nothing; leave out --output, --seed");
    refused(Run.of("calibrate", "a cat"), "'--output=FILE'");
    assertThat(
            Run.of(
                    "calibrate",
                    "-q",
                    "--scales",
                    "1x1,2x2,4x4",
                    "--sink-scales",
                    "1",
                    "--threads",
                    "1",
                    "-o",
                    path("c.json"),
                    "a cat")
                .status())
        .isZero();
    refusedComparison("has scales 1x1,2x2,4x4,6x6, but ", "a.json", "c.json");
  }

  private void refusedComparison(String expected, String... files) {
    List<String> arguments = new ArrayList<>(List.of("calibrate", "--compare"));
    Stream.of(files).map(this::path).forEach(arguments::add);
    refused(Run.of(arguments.toArray(String[]::new)), expected);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      textBlock =
          """
          cat --sink-scales 3       | sink scales 3
          cat --sink-scales -1      | sink scales -1
          cat --seed -1             | seed -1
          cat --argmax              | leave them out
          cat --cfg-layer -1        | leave them out
          cat --tau 0               | tau 0
          cat --device tpu          | device 'tpu'
          cat --model nothing       | model 'nothing'
          cat --merge a.json        | leave out --scales, --sink-scales, --threads
          cat -o missing/a.json     | create it first
          cat -o .                  | is a folder
          --count 3                 | --count
          -q                        | no prompt
          """)
  void isSaidInOneLine(String options, String expected) throws IOException {
    List<String> arguments = new ArrayList<>();
    boolean named = false;
    for (String option : options.split(" ")) {
      boolean path = !arguments.isEmpty() && arguments.getLast().equals("-o");
      named |= path;
      arguments.add(path ? path(option) : option);
    }
    List<String> all = new ArrayList<>(List.of("calibrate", "--scales", SCALES, "--threads", "1"));
    if (!options.contains("--sink-scales")) {
      all.addAll(List.of("--sink-scales", "1"));
    }
    if (!named) {
      all.addAll(List.of("-o", path("a.json")));
    }
    all.addAll(arguments);
    refused(Run.of(all.toArray(String[]::new)), expected);
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).isEmpty();
    }
  }

  @Test
  void promptFilesWithoutPrompts() throws IOException {
    Path file = folder.resolve("p.jsonl");
    Files.writeString(file, "{\"prompt\": \"a cat\"}\n\n{\"name\": \"a tree\"}\n");
    refused(calibrate("a.json", "--prompts", file.toString()), "p.jsonl, line 3 has no prompt");
    Files.writeString(file, "{\"captions\": []}");
    refused(calibrate("a.json", "--prompts", file.toString()), "line 1 has no prompt");
    Files.writeString(file, "{\"prompt\": \" \"}");
    refused(calibrate("a.json", "--prompts", file.toString()), "line 1 has a blank prompt");
    Files.writeString(file, "{\"prompt\": 3}");
    refused(calibrate("a.json", "--prompts", file.toString()), "line 1: prompt is 3");
    Files.writeString(file, "a cat");
    refused(calibrate("a.json", "--prompts", file.toString()), "line 1: can't be read as JSON");
    Files.writeString(file, "\n");
    refused(calibrate("a.json", "--prompts", file.toString()), "has no prompt");
    refused(calibrate("a.json", "--prompts", path("missing.txt")), "can't be read");
  }

  @Test
  void moreScalesThanTheModelKnows() {
    refused(
        Run.of(
            "calibrate",
            "a cat",
            "--threads",
            "1",
            "--scales",
            "1x1,".repeat(15) + "1x1",
            "-o",
            path("a.json")),
        "16 scales");
  }

  @Test
  void aPartialFileOfAnotherCalibrationIsNotTouched() throws IOException {
    assertThat(calibrate("a.json", "-q", "a cat").status()).isZero();
    Path partial = folder.resolve("b.json.partial");
    Files.copy(folder.resolve("a.json"), partial);
    refused(calibrate("b.json", "-q", "a tree"), "b.json.partial is of other prompts");
    assertThat(Files.readString(partial)).isEqualTo(read("a.json"));
    assertThat(folder.resolve("b.json")).doesNotExist();
  }

  private static void refused(Run run, String expected) {
    assertThat(run.err()).contains(expected).startsWith("heatkv: ").hasLineCount(1);
    assertThat(run.out()).isEmpty();
    assertThat(run.status()).isEqualTo(2);
  }
}
