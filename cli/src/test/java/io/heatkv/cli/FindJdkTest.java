package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The script by which the launcher and the checks find a JDK. */
class FindJdkTest {
  private static final Path SCRIPT = Path.of("..", "tools", "find-jdk.sh").toAbsolutePath();

  @TempDir Path folder;

  @BeforeEach
  void needsBash() {
    assumeTrue(Files.isExecutable(Path.of("/bin/bash")));
  }

  @Test
  void takesJavaHomeIfItIsNewEnough() throws Exception {
    Path jdk = jdk("a jdk", "25.0.3");
    assertThat(find(jdk)).isEqualTo(jdk.toString());
    Path newer = jdk("newer", "27");
    assertThat(find(newer)).isEqualTo(newer.toString());
  }

  @Test
  void passesOverOthers() throws Exception {
    Path old = jdk("old", "21.0.9");
    assertThat(find(old)).isNotEqualTo(old.toString());
    Path runtime = jdk("runtime", "25.0.3");
    Files.delete(runtime.resolve("bin/javac"));
    assertThat(find(runtime)).isNotEqualTo(runtime.toString());
    assertThat(find(folder.resolve("missing"))).isNotEqualTo(folder.resolve("missing").toString());
  }

  @Test
  void takesAFaultyReleaseOnlyWithoutAnother() throws Exception {
    Path faulty = jdk("faulty", "25.0.1");
    Path sound = jdk("home/.sdkman/candidates/java/25.0.3-tem", "25.0.3");
    assertThat(find(faulty)).isNotEqualTo(faulty.toString());
    assertThat(fits(faulty, "any")).isTrue();
    assertThat(fits(faulty, "sound")).isFalse();
    assertThat(fits(sound, "sound")).isTrue();
  }

  private Path jdk(String name, String version) throws IOException {
    Path home = folder.resolve(name);
    Files.createDirectories(home.resolve("bin"));
    Path compiler = Files.createFile(home.resolve("bin/javac"));
    assertThat(compiler.toFile().setExecutable(true)).isTrue();
    Files.writeString(
        home.resolve("release"), "IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"" + version + "\"\n");
    return home;
  }

  private String find(Path javaHome) throws Exception {
    ProcessBuilder builder =
        new ProcessBuilder("/bin/bash", "-c", ". \"$0\"; find_jdk", SCRIPT.toString());
    builder.environment().put("JAVA_HOME", javaHome.toString());
    builder.environment().put("HOME", folder.resolve("home").toString());
    Process process = builder.start();
    return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
  }

  private static boolean fits(Path home, String wanted) throws Exception {
    return new ProcessBuilder(
                "/bin/bash",
                "-c",
                ". \"$0\"; jdk_fits \"$1\" \"$2\"",
                SCRIPT.toString(),
                home.toString(),
                wanted)
            .start()
            .waitFor()
        == 0;
  }
}
