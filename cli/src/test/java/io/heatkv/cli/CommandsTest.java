package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.cli.console.Advice;
import io.heatkv.cli.console.Console;
import io.heatkv.cli.console.PromptProgress;
import io.heatkv.cli.console.Sizes;
import io.heatkv.cli.options.Shard;
import io.heatkv.cli.report.JavaCheck;
import io.heatkv.error.Remedy;
import io.heatkv.error.UserException;
import io.heatkv.json.JsonObject;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class CommandsTest {
  @ParameterizedTest
  @ValueSource(
      strings = {
        "generate",
        "compare",
        "evaluate",
        "calibrate",
        "schedule",
        "bench",
        "inspect",
        "import",
        "synth",
        "doctor",
        "verify",
        "completion"
      })
  void everyCommandExplainsItselfWithExamples(String command) {
    Run run = Run.of(command, "--help");
    assertThat(run.status()).isZero();
    assertThat(run.err()).isEmpty();
    assertThat(run.out()).startsWith("Usage: heatkv " + command).contains("Examples:");
    assertThat(run.out().substring(run.out().indexOf("Examples:"))).contains("heatkv " + command);
    assertThat(run.out().lines()).allMatch(line -> line.length() <= 80);
    // A list as a user would type it.
    assertThat(run.out()).doesNotContain("Default: [");
    assertThat(Run.of().out()).contains("  " + command);
  }

  @Test
  void inspectTellsWhatTheEmbeddedModelIs() {
    JsonObject json = json("inspect", "emoji", "--json");
    JsonObject transformer = json.object("transformer");
    assertThat(transformer.number("layers")).isEqualTo(12);
    assertThat(transformer.number("heads")).isEqualTo(10);
    assertThat(transformer.number("head_dim")).isEqualTo(32);
    assertThat(json.number("tokens")).isEqualTo(2521);
    assertThat(json.number("cached_tokens")).isEqualTo(1497);
    // 12 layers, 2 rows, keys and values, 320 channels, 1497 tokens, 4 or 2 bytes.
    assertThat(json.object("kv_bytes").number("fp32")).isEqualTo(12.0 * 2 * 2 * 320 * 1497 * 4);
    assertThat(json.object("kv_bytes").number("bf16")).isEqualTo(12.0 * 2 * 2 * 320 * 1497 * 2);
    assertThat(json.object("image").number("width")).isEqualTo(256);
    assertThat(Run.of("inspect", "emoji").out()).contains("12 layers, 10 heads of 32");
  }

  @Test
  void inspectTellsWhatTheLargerEmbeddedModelIs() {
    JsonObject json = json("inspect", "emoji-512", "--json");
    assertThat(json.object("transformer").number("layers")).isEqualTo(12);
    // 1 4 16 36 64 144 256 400 576 1024 1600 2304, and 4096 of the last scale.
    assertThat(json.number("tokens")).isEqualTo(10_521);
    assertThat(json.number("cached_tokens")).isEqualTo(6425);
    assertThat(json.object("kv_bytes").number("bf16")).isEqualTo(12.0 * 2 * 2 * 320 * 6425 * 2);
    assertThat(json.object("image").number("width")).isEqualTo(512);
  }

  @Test
  void doctorMeasuresThisMachine() {
    JsonObject json = json("doctor", "--json", "--threads", "1");
    assertThat(json.text("java")).startsWith(System.getProperty("java.version"));
    assertThat(json.text("libtorch")).matches("2\\.\\d+\\.\\d+ .*");
    assertThat(json.number("cores")).isEqualTo(Runtime.getRuntime().availableProcessors());
    assertThat(json.number("memory_free_bytes")).isPositive();
    assertThat(json.number("gflops_fp32")).isPositive();
    assertThat(json.number("gflops_bf16")).isPositive();
    assertThat(json.list("cache_damaged_files")).isEmpty();
    assertThat(Run.of("doctor").out()).contains("gflops fp32", "cache folder");
  }

  @Test
  void faultsOfJavaAreKnown() {
    assertThat(JavaCheck.problems(Runtime.Version.parse("25.0.2"))).hasSize(1);
    assertThat(JavaCheck.problems(Runtime.Version.parse("25"))).hasSize(1);
    assertThat(JavaCheck.problems(Runtime.Version.parse("25.0.3"))).isEmpty();
    assertThat(JavaCheck.problems(Runtime.Version.parse("26"))).isEmpty();
  }

  @Test
  void completionKnowsCommandsAndOptions() {
    Run run = Run.of("completion");
    assertThat(run.status()).isZero();
    assertThat(run.out()).contains("generate", "--aspect-ratio", "complete -F");
  }

  /** As groff reads it, where there is one: without a warning, as the help has it. */
  @Test
  void manualPagesAreSound(@TempDir Path folder) throws Exception {
    Run.of("man", "generat").assertRefused("did you mean generate?");
    for (String command : List.of("", "generate", "serve", "man")) {
      Run run = command.isEmpty() ? Run.of("man") : Run.of("man", command);
      assertThat(run.status()).isZero();
      assertThat(run.out()).startsWith(".TH HEATKV").contains(".SH SYNOPSIS", "\\-\\-help");
      if (Files.isExecutable(Path.of("/usr/bin/groff"))) {
        Path page = folder.resolve("page.1");
        Files.writeString(page, run.out());
        Process groff =
            new ProcessBuilder("groff", "-man", "-ww", "-z", page.toString())
                .redirectErrorStream(true)
                .start();
        assertThat(groff.inputReader().readAllAsString()).isEmpty();
        assertThat(groff.waitFor()).isZero();
      }
    }
  }

  /** What is advised can be typed. */
  @ParameterizedTest
  @EnumSource
  void adviceNamesCommandsAndOptionsThatThereAre(Remedy remedy) {
    Set<String> known =
        HeatKv.commandLine(
                new Console(
                    new PrintWriter(Writer.nullWriter()),
                    new PrintWriter(Writer.nullWriter()),
                    false),
                List.of())
            .getSubcommands()
            .entrySet()
            .stream()
            .flatMap(command ->
                Stream.concat(
                    Stream.of("heatkv " + command.getKey()),
                    command.getValue().getCommandSpec().optionsMap().keySet().stream()))
            .collect(Collectors.toSet());
    assertThat(Pattern.compile("heatkv [a-z]+|--?[a-z]+").matcher(Advice.of(remedy)).results())
        .extracting(MatchResult::group)
        .isNotEmpty()
        .allSatisfy(name -> assertThat(known).contains(name));
    assertThat(Advice.in(new UserException("wrong", remedy)))
        .isEqualTo("wrong " + Advice.of(remedy));
    assertThat(Advice.in(new UserException("wrong"))).isEqualTo("wrong");
  }

  @Test
  void internalErrorsAreOneLineUnlessDebugged() {
    Run run = Run.of("inspect", "a\0b");
    assertThat(run.status()).isEqualTo(1);
    assertThat(run.err()).startsWith("heatkv: internal error: ").hasLineCount(1);
    assertThat(Run.of("inspect", "a\0b", "--debug").err()).contains("\tat ");
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0 bytes",
    "1023, 1023 bytes",
    "1024, 1.0 KiB",
    "1536, 1.5 KiB",
    "1048576, 1.0 MiB",
    "5368709120, 5.0 GiB",
    "1099511627776, 1.0 TiB",
    "1152921504606846976, 1048576.0 TiB"
  })
  void sizesForPeople(long bytes, String text) {
    assertThat(Sizes.text(bytes)).isEqualTo(text);
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0 s",
    "59.4, 59 s",
    "59.5, 1 min 0 s",
    "200, 3 min 20 s",
    "3599, 59 min 59 s",
    "3600, 1 h 0 min",
    "7384, 2 h 3 min",
    "90000, 25 h 0 min"
  })
  void durationsForPeople(double seconds, String text) {
    assertThat(PromptProgress.duration(seconds)).isEqualTo(text);
  }

  @Test
  void inspectCountsWhatTheFilesHold() throws IOException {
    JsonObject json = json("inspect", "emoji", "--json");
    long parameters = 0;
    for (String[] part :
        new String[][] {
          {"transformer", "transformer.safetensors"},
          {"text_encoder", "text_encoder/model.safetensors"},
          {"vae", "vae.safetensors"}
        }) {
      Path file = Path.of(json.text("folder"), part[1]);
      long count = 0;
      try (DataInputStream in = new DataInputStream(Files.newInputStream(file))) {
        int length = Math.toIntExact(Long.reverseBytes(in.readLong()));
        String header = new String(in.readNBytes(length), StandardCharsets.UTF_8);
        Matcher shape = Pattern.compile("\"shape\":\\[([^]]*)]").matcher(header);
        while (shape.find()) {
          count +=
              Pattern.compile(",")
                  .splitAsStream(shape.group(1))
                  .filter(edge -> !edge.isBlank())
                  .mapToLong(edge -> Long.parseLong(edge.strip()))
                  .reduce(1, Math::multiplyExact);
        }
      }
      assertThat(json.object(part[0]).number("parameters")).as(part[0]).isEqualTo(count);
      parameters += count;
    }
    assertThat(json.number("parameters")).isEqualTo(parameters);
    assertThat(json.object("image").number("height")).isEqualTo(256);
    assertThat(json.object("vae").number("stride")).isEqualTo(8);
    assertThat(json.object("sampling").number("top_p")).isEqualTo(0.97);
    assertThat(Run.of("inspect", "emoji").out())
        .contains(
            String.format(Locale.ROOT, "emoji-infinity, %.1f M parameters", parameters / 1e6),
            "2521, of which 1497 are cached",
            // 12 * 2 * 2 * 320 * 1497 * 4 / 2^20 and half of it
            "87.7 MiB in fp32, 43.9 MiB in bf16");
  }

  @ParameterizedTest
  @CsvSource({
    "1/1, 0, 1, false",
    "1/2, 0, 2, true",
    "2/2, 1, 2, true",
    "1/9999, 0, 9999, true",
    "9999/9999, 9998, 9999, true"
  })
  void sharesOfTheWork(String text, int index, int count, boolean part) {
    assertThat(Shard.parse(text)).isEqualTo(new Shard(index, count));
    assertThat(Shard.parse(text).isPart()).isEqualTo(part);
    assertThat(Shard.parse(null)).isEqualTo(new Shard(0, 1));
  }

  @ParameterizedTest
  @ValueSource(strings = {"0/2", "0/0", "1/0", "3/2", "1/10000", "-1/2", "1", "1/2/3", ""})
  void noShareOfTheWork(String text) {
    assertThatThrownBy(() -> Shard.parse(text))
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith("shard '" + text + "'");
  }

  private static JsonObject json(String... arguments) {
    Run run = Run.of(arguments);
    assertThat(run.err()).isEmpty();
    assertThat(run.status()).isZero();
    return JsonObject.parse(Path.of("standard output"), run.out());
  }
}
