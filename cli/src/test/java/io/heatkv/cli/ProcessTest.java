package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What only a process of its own shows. */
class ProcessTest {
  @TempDir Path folder;

  private ProcessBuilder heatkv(String... arguments) {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName()));
    command.addAll(List.of(arguments));
    return new ProcessBuilder(command).directory(folder.toFile());
  }

  @Test
  void versionLoadsNoLibtorch() throws Exception {
    ProcessBuilder builder = heatkv("--version");
    builder.environment().put("HEATKV_LIBTORCH", folder.resolve("missing").toString());
    Process process = builder.start();
    assertThat(process.inputReader().readLine()).matches("heatkv \\d+\\.\\d+\\.\\d+.*");
    assertThat(process.waitFor()).isZero();
  }

  /** Nothing is unpacked into the cache folder either. */
  @ParameterizedTest
  @ValueSource(strings = {"--help", "--threads 1 -h", "--threads none", "--libtorch", "--version"})
  void whatEndsAtItsOptionsLoadsNoLibtorch(String options) throws Exception {
    List<String> arguments = new ArrayList<>(List.of("generate", "a cat"));
    arguments.addAll(List.of(options.split(" ")));
    ProcessBuilder builder = heatkv(arguments.toArray(String[]::new));
    builder.environment().put("HEATKV_CACHE", folder.resolve("cache").toString());
    builder.environment().remove("HEATKV_LIBTORCH");
    Process process = builder.redirectErrorStream(true).start();
    assertThat(process.inputReader().readAllAsString()).isNotEmpty();
    assertThat(process.waitFor()).isIn(0, 2);
    assertThat(folder.resolve("cache")).doesNotExist();
  }

  /** A process that takes itself for one of an older Java, and begins as the jar does. */
  static final class OnJava {
    private OnJava() {}

    public static void main(String[] arguments) throws Exception {
      System.setProperty("java.specification.version", arguments[0]);
      System.setProperty("java.version", arguments[0] + ".0.9");
      Start.main(new String[] {"--version"});
    }
  }

  @ParameterizedTest
  @CsvSource({"1.8, 2", "17, 2", "24, 2", "25, 0", "26, 0"})
  void anOlderJavaIsToldWhichToInstall(String version, int status) throws Exception {
    List<String> command = heatkv(version).command();
    command.set(command.indexOf(Main.class.getName()), OnJava.class.getName());
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String text = process.inputReader().readAllAsString();
    assertThat(process.waitFor()).as(text).isEqualTo(status);
    if (status == 2) {
      assertThat(text)
          .isEqualTo(
              "heatkv: Java %s.0.9 is too old; install a JDK 25.0.3 or newer, and set JAVA_HOME to it or start its java\n"
                  .formatted(version));
    }
  }

  @Test
  void interruptLeavesOnlyWholePictures() throws Exception {
    assumeTrue(Files.exists(Path.of("/proc/self/status")));
    Process process =
        heatkv(
                "generate",
                "a red apple, noto style emoji",
                "--count",
                "1000",
                "--save-scales",
                "--scales",
                "1x1,2x2,4x4,6x6,8x8",
                "--threads",
                "1",
                "-o",
                "a.png")
            .start();
    try (BufferedReader err = process.errorReader()) {
      String line = err.readLine();
      while (line != null && !line.startsWith("a-2.png: scale 3/5")) {
        line = err.readLine();
      }
      assertThat(line).isNotNull();
      // A process started in the background may have been told to ignore SIGINT.
      boolean ignored = ignoresInterrupt(process.pid());
      new ProcessBuilder("kill", ignored ? "-TERM" : "-INT", String.valueOf(process.pid()))
          .start()
          .waitFor();
      assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
      assertThat(process.exitValue()).isEqualTo(128 + (ignored ? 15 : 2));
    } finally {
      process.destroyForcibly();
    }
    assertThat(files()).contains("a-1.png", "a-2.scale-01.png").doesNotContain("a-1000.png");
    for (String name : files()) {
      assertThat(name).endsWith(".png").doesNotStartWith(".");
      assertThat(ImageIO.read(folder.resolve(name).toFile()).getWidth()).isEqualTo(64);
    }
  }

  /** Killed again and again, at another moment each time, a calibration ends with the same file. */
  @Test
  void aKilledCalibrationGoesOnToTheSameDigits() throws Exception {
    List<String> arguments = new ArrayList<>(List.of("calibrate"));
    arguments.addAll(List.of("a cat", "a tree", "a red apple", "a house"));
    arguments.addAll(List.of("--scales", "1x1,2x2,4x4,6x6", "--sink-scales", "1"));
    arguments.addAll(List.of("--threads", "1", "-o"));
    ProcessBuilder whole = heatkv(with(arguments, "whole.json"));
    assertThat(whole.redirectErrorStream(true).start().waitFor()).isZero();

    String[] again = with(arguments, "pieces.json");
    String resumed = "";
    for (int kills = 1; kills <= 2; kills++) {
      Process process = heatkv(again).start();
      try (BufferedReader err = process.errorReader()) {
        String line = err.readLine();
        resumed = line;
        while (line != null && !line.startsWith("pieces.json: prompt " + kills + "/4")) {
          line = err.readLine();
        }
        assertThat(line).isNotNull();
        // SIGKILL: no shutdown hook runs. The next prompt or its file may be half done.
        process.destroyForcibly();
        assertThat(process.waitFor()).isEqualTo(128 + 9);
      }
      assertThat(folder.resolve("pieces.json")).doesNotExist();
    }
    assertThat(resumed).containsPattern("going on from pieces.json.partial, where \\d of 4");
    assertThat(heatkv(again).redirectErrorStream(true).start().waitFor()).isZero();
    assertThat(Files.readAllBytes(folder.resolve("pieces.json")))
        .isEqualTo(Files.readAllBytes(folder.resolve("whole.json")));
    assertThat(folder.resolve("pieces.json.partial")).doesNotExist();
  }

  /** Killed when some batches are done, an evaluation goes on to the same figures. */
  @Test
  void aKilledEvaluationGoesOnToTheSameFigures() throws Exception {
    Files.writeString(folder.resolve("prompts.txt"), "a cat\na tree\na red apple\na house\n");
    List<String> arguments = new ArrayList<>(List.of("evaluate", "--prompts", "prompts.txt"));
    arguments.addAll(List.of("--policies", "random,h2o", "--budgets", "0.5", "--no-kl", "-q"));
    arguments.addAll(List.of("--scales", "1x1,2x2,4x4,6x6", "--threads", "1", "-o"));
    assertThat(heatkv(with(arguments, "whole")).start().waitFor()).isZero();

    Process process = heatkv(with(arguments, "pieces")).start();
    Path first = folder.resolve("pieces/batches/batch-00000.json");
    while (process.isAlive() && !Files.exists(first)) {
      Thread.onSpinWait();
    }
    // SIGKILL: no shutdown hook runs.
    process.destroyForcibly();
    assertThat(process.waitFor()).isEqualTo(128 + 9);
    assertThat(folder.resolve("pieces/index.html")).doesNotExist();
    arguments.add(1, "--resume");
    assertThat(heatkv(with(arguments, "pieces")).start().waitFor()).isZero();
    assertThat(withoutTimes(folder.resolve("pieces/summary.csv")))
        .isEqualTo(withoutTimes(folder.resolve("whole/summary.csv")));
    assertThat(folder.resolve("pieces/index.html")).isNotEmptyFile();
  }

  /** Times are the last three columns. */
  private static List<String> withoutTimes(Path table) throws IOException {
    return Files.readAllLines(table).stream()
        .map(line -> line.replaceFirst("(,[^,]*){3}$", ""))
        .toList();
  }

  /** The published canonical text and nothing else, without any libtorch. */
  @Test
  void schedulesOfOrdersLoadNoLibtorch() throws Exception {
    StringBuilder order = new StringBuilder("[[");
    for (int head = 0; head < 3; head++) {
      order.append(head == 0 ? "" : ",").append("[").append(head).append(",0]");
    }
    Files.writeString(folder.resolve("orders.json"), order.append("]]"));
    ProcessBuilder builder =
        heatkv(
            "schedule",
            "--orders",
            "orders.json",
            "--layers",
            "1",
            "--heads",
            "3",
            "--scales",
            "1x1,1x2,2x2",
            "--sink-scales",
            "1",
            "--budget",
            "0.5",
            "--canonical");
    builder.environment().put("HEATKV_LIBTORCH", folder.resolve("missing").toString());
    Process process = builder.start();
    // Full 9 head-tokens, allowed 4.5: of 3 + 6, ceil(3 (3 - 1.5) / (3 - 1)) = 3 heads must go.
    assertThat(new String(process.getInputStream().readAllBytes(), StandardCharsets.US_ASCII))
        .isEqualTo(
            "{\"early_activation_by_scale\":{\"0\":{},\"1\":{},\"2\":{}},"
                + "\"removed_heads_by_scale\":{\"0\":[],\"1\":[],"
                + "\"2\":[[1,0,0],[1,1,0],[1,2,0]]}}");
    assertThat(process.waitFor()).isZero();
  }

  private static String[] with(List<String> arguments, String last) {
    return Stream.concat(arguments.stream(), Stream.of(last)).toArray(String[]::new);
  }

  private static boolean ignoresInterrupt(long pid) throws IOException {
    String mask =
        Files.readAllLines(Path.of("/proc/" + pid + "/status")).stream()
            .filter(line -> line.startsWith("SigIgn:"))
            .findFirst()
            .orElseThrow()
            .substring(7)
            .strip();
    return (Long.parseUnsignedLong(mask, 16) & 2) != 0;
  }

  private List<String> files() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).toList();
    }
  }
}
