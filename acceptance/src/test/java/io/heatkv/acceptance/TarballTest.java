package io.heatkv.acceptance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.heatkv.image.Png;
import io.heatkv.resource.Release;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The tarball, from a folder of any name, without Java, Maven or a home. */
class TarballTest {
  private static final Map<String, String> NOTHING =
      Map.of("JAVA_HOME", "", "PATH", "/usr/bin:/bin", "HOME", "/");

  @TempDir Path folder;

  @Test
  void itDrawsAnywhereAndExplainsItself() throws Exception {
    assumeTrue(
        System.getProperty("os.name").equals("Linux")
            && System.getProperty("os.arch").equals("amd64"));
    Program.run(
            folder,
            Map.of(),
            Program.ROOT.resolve("tools/make-tarball.sh").toString(),
            folder.toString())
        .succeeded();
    String name = "heatkv-" + Release.version() + "-linux-x86_64";
    Program.run(folder, Map.of(), "sha256sum", "-c", name + ".tar.gz.sha256").succeeded();
    Path elsewhere = Files.createDirectory(folder.resolve("else where"));
    Program.run(elsewhere, Map.of(), "tar", "xzf", folder.resolve(name + ".tar.gz").toString())
        .succeeded();
    Path unpacked = elsewhere.resolve(name);
    Path link = Files.createSymbolicLink(folder.resolve("heatkv"), unpacked.resolve("bin/heatkv"));
    Map<String, String> environment =
        Map.of(
            "JAVA_HOME",
            "",
            "PATH",
            "/usr/bin:/bin",
            "HOME",
            "/",
            "HEATKV_CACHE",
            folder.resolve("cache").toString());
    Program.run(
            folder,
            environment,
            link.toString(),
            "generate",
            "a red apple",
            "--seed",
            "1",
            "--scales",
            "1x1,2x2,4x4",
            "--quiet",
            "-o",
            "apple.png")
        .succeeded();
    assertThat(Png.readMetadata(folder.resolve("apple.png"))).isNotEmpty();
    assertThat(Program.run(folder, NOTHING, link.toString(), "--version").succeeded().text())
        .startsWith("heatkv " + Release.version());

    Path pages = unpacked.resolve("share/man/man1");
    try (Stream<Path> files = Files.list(pages)) {
      List<String> names = files.map(file -> file.getFileName().toString()).sorted().toList();
      assertThat(names)
          .contains("heatkv.1", "heatkv-generate.1", "heatkv-spark-conf.1", "heatkv-man.1");
      for (String page : names) {
        assertThat(Files.readString(pages.resolve(page)))
            .startsWith(".TH HEATKV")
            .contains(".SH SYNOPSIS", "\\-\\-help");
      }
    }
    assertThat(unpacked.resolve("share/bash-completion/completions/heatkv"))
        .content()
        .contains("complete -F", "--kv-budget");
  }
}
