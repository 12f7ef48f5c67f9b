package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The script that compares what two builds draw, with builds that only print. */
class CompareBuildsTest {
  private static final Path SCRIPT = Path.of("..", "tools", "compare_builds.py").toAbsolutePath();

  @TempDir Path folder;

  private Path build(String name, String printed) throws Exception {
    Path command = Files.createDirectories(folder.resolve(name)).resolve("heatkv");
    Files.writeString(command, "#!/bin/sh\necho '" + printed + "'\n");
    assertThat(command.toFile().setExecutable(true)).isTrue();
    return command.getParent();
  }

  private int compare(Path old, Path other) throws Exception {
    assumeTrue(Files.isExecutable(Path.of("/usr/bin/python3")));
    Process process =
        new ProcessBuilder(
                "/usr/bin/python3",
                SCRIPT.toString(),
                old.toString(),
                other.toString(),
                "--turns",
                "0",
                "--only",
                "top-p")
            .redirectErrorStream(true)
            .start();
    String told = process.inputReader().readAllAsString();
    assertThat(told).contains("top-p");
    return process.waitFor();
  }

  /** What one build tells anew at each run is no difference, however often it is built. */
  @Test
  void aBuildEqualsItself() throws Exception {
    Run drawn =
        Run.of(
            "generate",
            "a cat",
            "--scales",
            "1x1,2x2",
            "--json",
            "-o",
            folder.resolve("a.png").toString());
    String told = drawn.out();
    String later = told.replaceAll("(\"(?:peak_resident_bytes|[a-z_]*_ms)\" : )(\\d)", "$19$2");
    assertThat(later).isNotEqualTo(told);
    assertThat(compare(build("old", told), build("new", later))).isZero();
  }

  @ParameterizedTest
  @CsvSource({"1, 1, 0", "1, 2, 1"})
  void otherNumbersAreDifferences(int old, int other, int status) throws Exception {
    String told = "{\"kv_bytes\": %d}";
    assertThat(compare(build("old", told.formatted(old)), build("new", told.formatted(other))))
        .isEqualTo(status);
  }
}
