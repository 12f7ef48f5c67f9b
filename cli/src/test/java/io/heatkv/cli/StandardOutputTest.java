package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.heatkv.cli.console.Console;
import io.heatkv.cli.console.PipeOutput;
import io.heatkv.load.ModelSource;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A result that nobody could read is no success; a reader who has enough is no failure. */
class StandardOutputTest {
  @TempDir Path folder;

  static Stream<String> commands() {
    return Stream.of(
        "--version",
        "--help",
        "",
        "generate --help",
        "completion",
        "doctor",
        "doctor --json",
        "inspect emoji",
        "inspect emoji --json",
        "inspect EMOJI/vae.safetensors",
        "inspect EMOJI/vae.safetensors --json",
        "schedule --budget 0.5",
        "schedule --budget 0.5 --json",
        "generate an_apple --scales 1x1,2x2 --threads 1 -o OUT/a.png",
        "generate an_apple --scales 1x1,2x2 --threads 1 -q --json -o OUT/a.png");
  }

  private String[] arguments(String command) {
    if (command.isEmpty()) {
      return new String[0];
    }
    return command
        .replace("EMOJI", ModelSource.find("emoji").folder().toString())
        .replace("OUT", folder.toString())
        .split(" ");
  }

  private static OutputStream failing(String reason) {
    return new OutputStream() {
      @Override
      public void write(int b) throws IOException {
        throw new IOException(reason);
      }
    };
  }

  private record Ended(int status, String err) {}

  private Ended run(String command, OutputStream out) {
    StringWriter err = new StringWriter();
    PrintWriter writer = new PrintWriter(out, true, StandardCharsets.UTF_8);
    int status = HeatKv.run(new Console(writer, new PrintWriter(err), false), arguments(command));
    return new Ended(status, err.toString());
  }

  @ParameterizedTest
  @MethodSource("commands")
  void aResultThatIsLostIsAFailure(String command) {
    Ended ended = run(command, new PipeOutput(failing("No space left on device")));
    assertThat(ended.status()).isEqualTo(2);
    assertThat(ended.err().lines().toList().getLast())
        .isEqualTo("heatkv: standard output can't be written; expected a pipe or file with room");
  }

  @ParameterizedTest
  @MethodSource("commands")
  void aReaderWhoHasEnoughIsNone(String command) {
    Ended ended = run(command, new PipeOutput(failing("Broken pipe")));
    assertThat(ended.status()).isZero();
    assertThat(ended.err()).doesNotContain("standard output");
  }

  @Test
  void anotherFailureKeepsItsMessage() {
    Ended ended = run("inspect missing.png", failing("No space left on device"));
    assertThat(ended.status()).isEqualTo(2);
    assertThat(ended.err()).hasLineCount(1).contains("no such file");
  }

  @Test
  void aFullDeviceFailsAProcess() throws Exception {
    assumeTrue(Files.isWritable(Path.of("/dev/full")));
    List<String> command =
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-XX:TieredStopAtLevel=1",
            "-cp",
            System.getProperty("java.class.path"),
            Main.class.getName(),
            "--version");
    Path err = folder.resolve("err");
    Process process =
        new ProcessBuilder(command)
            .redirectOutput(Path.of("/dev/full").toFile())
            .redirectError(err.toFile())
            .start();
    assertThat(process.waitFor()).isEqualTo(2);
    assertThat(Files.readString(err)).contains("standard output can't be written");
  }
}
