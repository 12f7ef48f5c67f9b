package io.heatkv.acceptance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.heatkv.image.Png;
import io.heatkv.resource.Release;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The tarball, from a folder of any name, without Java, Maven, a home or any variable. */
class TarballTest {
  private static final String NAME = "heatkv-" + Release.version() + "-linux-x86_64";
  // As ldd tells of what a program needs, and ldconfig of C++'s.
  private static final Pattern NEEDED = Pattern.compile("(?m)(?:^\\s*|=> )(/.+) \\(0x");
  private static final Pattern STANDARD =
      Pattern.compile("(?m)^\\s*lib(?:stdc\\+\\+|gcc_s)\\.so\\.\\d+ \\(\\S*x86-64\\) => (\\S+)$");

  @TempDir private static Path folder;
  private static Path unpacked;

  @BeforeAll
  static void unpack() throws Exception {
    assumeTrue(
        System.getProperty("os.name").equals("Linux")
            && System.getProperty("os.arch").equals("amd64"));
    Program.run(
            folder,
            Map.of(),
            Program.ROOT.resolve("tools/make-tarball.sh").toString(),
            folder.toString())
        .succeeded();
    Program.run(folder, Map.of(), "sha256sum", "-c", NAME + ".tar.gz.sha256").succeeded();
    Path elsewhere = Files.createDirectory(folder.resolve("else where"));
    Program.run(elsewhere, Map.of(), "tar", "xzf", folder.resolve(NAME + ".tar.gz").toString())
        .succeeded();
    unpacked = elsewhere.resolve(NAME);
  }

  /** Runs a command with few variables. */
  private static Program bare(String... command) throws Exception {
    List<String> all = new ArrayList<>(List.of("env", "-i", "PATH=/usr/bin:/bin"));
    all.addAll(List.of(command));
    return Program.run(folder, Map.of(), all.toArray(String[]::new));
  }

  /** Draws a small apple by a command that begins so. */
  private static void draw(String picture, String... command) throws Exception {
    String[] options = {
      "generate",
      "a red apple",
      "--seed",
      "1",
      "--scales",
      "1x1,2x2,4x4,6x6,8x8",
      "--quiet",
      "-o",
      picture
    };
    bare(Stream.concat(Arrays.stream(command), Arrays.stream(options)).toArray(String[]::new))
        .succeeded();
  }

  private static void assertDrawn(Path picture) throws Exception {
    assertThat(Png.readMetadata(picture).getFirst().text())
        .startsWith("a red apple\n")
        .contains("Seed: 1, Size: 64x64");
  }

  @Test
  void itDrawsAnywhere() throws Exception {
    Path link = Files.createSymbolicLink(folder.resolve("heatkv"), unpacked.resolve("bin/heatkv"));
    draw("apple.png", "HEATKV_CACHE=" + folder.resolve("cache"), link.toString());
    assertDrawn(folder.resolve("apple.png"));
    assertThat(bare(link.toString(), "--version").succeeded().text())
        .startsWith("heatkv " + Release.version());
  }

  /** A root with nothing but the C library, C++'s and the tarball; no table of mounts either. */
  @Test
  void itNeedsGlibcAndLibstdcAlone() throws Exception {
    assumeTrue(bare("unshare", "-r", "--pid", "--fork", "true").status() == 0);
    Path root = Files.createDirectory(folder.resolve("root"));
    Files.createDirectory(root.resolve("proc"));
    Path java = unpacked.resolve("bin/java");
    Program needed =
        bare("ldd", java.toString(), unpacked.resolve("lib/server/libjvm.so").toString());
    copyIntoRoot(root, NEEDED, needed);
    copyIntoRoot(root, STANDARD, bare("/sbin/ldconfig", "-p"));
    Program.run(folder, Map.of(), "cp", "-rl", unpacked.toString(), root + "/heatkv").succeeded();
    draw(
        "/apple.png",
        "LC_ALL=C.UTF-8",
        "HEATKV_CACHE=/cache",
        "unshare",
        "-r",
        "--pid",
        "--fork",
        "--root=" + root,
        "--mount-proc",
        "/heatkv/bin/java",
        "-jar",
        "/heatkv/heatkv/heatkv.jar");
    assertDrawn(root.resolve("apple.png"));
  }

  /** Copies the libraries that a program named, but for the tarball's own. */
  private static void copyIntoRoot(Path root, Pattern pattern, Program named) throws Exception {
    for (MatchResult match : pattern.matcher(named.succeeded().text()).results().toList()) {
      Path library = Path.of(match.group(1));
      Path target = Path.of(root + library.toString());
      if (!library.startsWith(unpacked) && !Files.exists(target)) {
        Files.createDirectories(target.getParent());
        Files.copy(library.toRealPath(), target);
      }
    }
  }

  @Test
  void itExplainsItself() throws Exception {
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
