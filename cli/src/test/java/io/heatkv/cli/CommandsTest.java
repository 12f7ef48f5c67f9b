package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.json.JsonObject;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
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

  @Test
  void internalErrorsAreOneLineUnlessDebugged() {
    Run run = Run.of("inspect", "a\0b");
    assertThat(run.status()).isEqualTo(1);
    assertThat(run.err()).startsWith("heatkv: internal error: ").hasLineCount(1);
    assertThat(Run.of("inspect", "a\0b", "--debug").err()).contains("\tat ");
  }

  @Test
  void sizesForPeople() {
    assertThat(List.of(Sizes.text(1023), Sizes.text(1536), Sizes.text(5L << 30)))
        .containsExactly("1023 bytes", "1.5 KiB", "5.0 GiB");
  }

  private static JsonObject json(String... arguments) {
    Run run = Run.of(arguments);
    assertThat(run.err()).isEmpty();
    assertThat(run.status()).isZero();
    return JsonObject.parse(Path.of("standard output"), run.out());
  }
}
