package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What only a process of its own shows. */
class ProcessTest {
  @TempDir Path folder;

  private ProcessBuilder heatkv(String... arguments) {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
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
