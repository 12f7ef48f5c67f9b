package io.heatkv.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The launcher in a checkout of a few small files, with scripts in the place of Java and Maven. */
class LauncherTest {
  private static final Path ROOT = Path.of("..").toAbsolutePath().normalize();

  /** Tells what it was started with; makes the cache of classes that it is asked for. */
  private static final String JAVA =
      """
      #!/bin/bash -p
      for argument; do
        case $argument in
          -XX:AOTCacheOutput=*) echo made >"${argument#*=}"; exit ;;
          *.jar) [ -f "$argument" ] && printf 'jar is there\\n' ;;
        esac
      done
      printf 'locale %s\\n' "$LC_ALL"
      last=${!#}
      printf 'last has %s letters\\n' "${#last}"
      printf '<%s>\\n' "$@"
      """;

  private static final String MAVEN =
      """
      #!/bin/bash -p
      echo built >>"$BUILDS"
      mkdir -p cli/target/lib
      cat cli/src/main/A.java >cli/target/heatkv.jar
      echo engine >cli/target/lib/heatkv-engine.jar
      """;

  @TempDir Path folder;
  private Path checkout;
  private Path builds;
  private Path maven;
  private final Map<String, String> environment = new HashMap<>();

  /** What the launcher printed, to both streams. */
  private record Started(int status, String text) {
    boolean runs() {
      return status == 0 && text.contains("jar is there");
    }
  }

  @BeforeEach
  void makeACheckout() throws IOException {
    assumeTrue(Files.isExecutable(Path.of("/bin/bash")) && Files.isDirectory(Path.of("/proc")));
    checkout = folder.resolve("checkout");
    builds = folder.resolve("builds");
    Files.writeString(builds, "");
    Files.createDirectories(checkout.resolve("tools"));
    Files.createDirectories(checkout.resolve("cli/src/main"));
    for (String file : List.of("heatkv", "tools/find-jdk.sh")) {
      Files.copy(ROOT.resolve(file), checkout.resolve(file), StandardCopyOption.COPY_ATTRIBUTES);
    }
    Files.writeString(checkout.resolve("pom.xml"), "<project/>");
    Files.writeString(checkout.resolve("cli/src/main/A.java"), "class A {}");
    Path jdk = folder.resolve("jdk");
    script(jdk.resolve("bin/java"), JAVA);
    script(jdk.resolve("bin/javac"), "");
    Files.writeString(jdk.resolve("release"), "JAVA_VERSION=\"25.0.3\"\n");
    maven = folder.resolve("maven");
    script(maven.resolve("mvn"), MAVEN);
    environment.put("JAVA_HOME", jdk.toString());
    environment.put("BUILDS", builds.toString());
    environment.put("PATH", maven + ":/usr/bin:/bin");
  }

  private static void script(Path file, String text) throws IOException {
    Files.createDirectories(file.getParent());
    Files.writeString(file, text);
    assertThat(file.toFile().setExecutable(true)).isTrue();
  }

  private Started start(String... arguments) throws Exception {
    return startAs(checkout.resolve("heatkv").toString(), folder, arguments);
  }

  private Started startAs(String launcher, Path where, String... arguments) throws Exception {
    ProcessBuilder builder =
        new ProcessBuilder(
                Stream.concat(Stream.of(launcher), Stream.of(arguments)).toArray(String[]::new))
            .directory(where.toFile())
            .redirectErrorStream(true);
    builder.environment().clear();
    builder.environment().putAll(environment);
    Process process = builder.start();
    String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    return new Started(process.waitFor(), text);
  }

  private int builds() throws IOException {
    return Files.readAllLines(builds).size();
  }

  private void build() throws Exception {
    assertThat(start().runs()).isTrue();
    assertThat(builds()).isEqualTo(1);
  }

  private void copyTheCheckout() throws Exception {
    Path copy = folder.resolve("copy");
    assertThat(
            new ProcessBuilder("cp", "-r", checkout.toString(), copy.toString()).start().waitFor())
        .isZero();
    checkout = copy;
  }

  private void withoutMaven() throws IOException {
    Files.delete(maven.resolve("mvn"));
    // The system may have one.
    Path tools = Files.createDirectory(folder.resolve("only"));
    for (String tool :
        List.of(
            "bash",
            "readlink",
            "sed",
            "find",
            "stat",
            "cksum",
            "sort",
            "cat",
            "rm",
            "mv",
            "mkdir",
            "flock")) {
      script(tools.resolve(tool), "#!/bin/sh\nexec /usr/bin/" + tool + " \"$@\"\n");
    }
    environment.put("PATH", tools.toString());
  }

  @Test
  void buildsOnceAndPassesArgumentsOn() throws Exception {
    build();
    Started again = start("generate", "a b", "", "--x=*", "it's");
    assertThat(again.text()).contains("<generate>\n<a b>\n<>\n<--x=*>\n<it's>\n");
    assertThat(builds()).isEqualTo(1);
    assertThat(checkout.resolve("cli/target")).isDirectoryNotContaining("glob:**/heatkv.[0-9]*");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "wow!",
        "a b",
        "it's",
        "q\"q",
        "Äpfel 日本",
        "-dash",
        "a:b",
        "a!:b",
        "p%20q",
        "[x]*",
        "#?&",
        "back\\slash",
        "$HOME",
        "`x`",
        "new\nline",
        "ends\n",
        "~",
        "a;b"
      })
  void theFolderMayHaveAnyName(String name) throws Exception {
    build();
    checkout = Files.move(checkout, folder.resolve(name));
    Files.createSymbolicLink(folder.resolve("link"), checkout.resolve("heatkv"));
    assertThat(start("x").runs()).isTrue();
    assertThat(startAs("./link", folder, "x").runs()).isTrue();
    assertThat(startAs("./heatkv", checkout, "x").runs()).isTrue();
    assertThat(
            startAs(name.startsWith("-") ? name + "/heatkv" : "./" + name + "/heatkv", folder, "x")
                .runs())
        .isTrue();
    assertThat(builds()).isEqualTo(1);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "CDPATH | /tmp:/",
        "SHELLOPTS | noglob:nounset:xtrace",
        "BASHOPTS | failglob:nocasematch",
        "GLOBIGNORE | *",
        "POSIXLY_CORRECT | 1",
        "BASH_COMPAT | 3.1",
        "IFS | /",
        "TMPDIR | /missing",
        "PWD | /missing",
        "BASH_FUNC_cd%% | () { echo elsewhere; }",
        "BASH_FUNC_readlink%% | () { echo elsewhere; }",
        "BASH_FUNC_printf%% | () { echo elsewhere; }",
        "BASH_FUNC_find%% | () { return 1; }",
        "root | /missing",
        "jar | /missing",
        "self | /missing",
        "java | /missing",
        "place | /missing",
        "child | 1",
        "archive | no"
      })
  void theCallersShellDoesNotMatter(String name, String value) throws Exception {
    environment.put(name, value);
    build();
    Started again = startAs("./heatkv", checkout, "a", "b");
    assertThat(again.text()).endsWith("<a>\n<b>\n").doesNotContain("elsewhere", "/missing");
    assertThat(again.runs()).isTrue();
    assertThat(builds()).isEqualTo(1);
  }

  static Stream<Map<String, String>> locales() {
    return Stream.of(
        Map.of(),
        Map.of("LC_ALL", "xx_XX.UTF-8"),
        Map.of("LC_CTYPE", "xx_XX.UTF-8"),
        Map.of("LANG", "xx_XX.utf8"),
        Map.of("LC_ALL", "C", "LANG", "C.UTF-8"),
        Map.of("LC_ALL", "POSIX"),
        Map.of("LC_ALL", ""),
        Map.of("LC_ALL", "de_DE.ISO-8859-1", "LC_CTYPE", "C.UTF-8"),
        Map.of("LC_ALL", "C.UTF-8", "LC_CTYPE", "C"));
  }

  /** A locale's name says nothing: two bytes must be a letter for the program that is started. */
  @ParameterizedTest
  @MethodSource("locales")
  void textIsUtf8InEveryLocale(Map<String, String> locale) throws Exception {
    environment.putAll(locale);
    Started started = start("ein Käse 日本");
    assertThat(started.text()).contains("last has 11 letters").contains("<ein Käse 日本>");
  }

  @ParameterizedTest
  @CsvSource({
    "JAVA_TOOL_OPTIONS, -XX:+UseG1GC, false, true",
    "JDK_JAVA_OPTIONS, -Xmx1g -XX:+UseZGC, false, true",
    "_JAVA_OPTIONS, -XX:+UseParallelGC, false, true",
    "JDK_JAVA_OPTIONS, @options, false, true",
    "JAVA_TOOL_OPTIONS, -XX:Flags=flags, false, true",
    "JAVA_TOOL_OPTIONS, -XX:+UseNUMA, true, true",
    "JAVA_TOOL_OPTIONS, -Xshare:auto, true, false",
    "JAVA_TOOL_OPTIONS, -XX:SharedArchiveFile=x, true, false",
    "JDK_JAVA_OPTIONS, -XX:AOTMode=off, true, false"
  })
  void theCallersCollectorAndArchiveWin(
      String name, String value, boolean collector, boolean archive) throws Exception {
    environment.put(name, value);
    Started started = start("x");
    assertThat(started.text().contains("-XX:+UseSerialGC")).isEqualTo(collector);
    assertThat(started.text().contains("-XX:AOTCache=")).isEqualTo(archive);
    assertThat(start("x").runs()).isTrue();
    assertThat(builds()).isEqualTo(1);
  }

  @ParameterizedTest
  @ValueSource(strings = {"2000-01-01T00:00:00Z", "2100-01-01T00:00:00Z"})
  void datesAreNoChanges(String date) throws Exception {
    build();
    for (String file : List.of("pom.xml", "cli/src/main/A.java", "cli/target/heatkv.jar")) {
      Files.setLastModifiedTime(checkout.resolve(file), FileTime.from(Instant.parse(date)));
      assertThat(start().runs()).isTrue();
    }
    assertThat(builds()).isEqualTo(1);
  }

  @ParameterizedTest
  @ValueSource(strings = {"2000-01-01T00:00:00Z", "2100-01-01T00:00:00Z"})
  void changesAreSeenWhateverTheirDate(String date) throws Exception {
    build();
    Path source = checkout.resolve("cli/src/main/A.java");
    Files.writeString(source, "class B {}");
    Files.setLastModifiedTime(source, FileTime.from(Instant.parse(date)));
    assertThat(start().runs()).isTrue();
    assertThat(start().runs()).isTrue();
    assertThat(builds()).isEqualTo(2);
    Files.writeString(checkout.resolve("cli/src/main/New.java"), "class New {}");
    assertThat(start().runs()).isTrue();
    assertThat(builds()).isEqualTo(3);
    Files.delete(checkout.resolve("cli/src/main/New.java"));
    assertThat(start().runs()).isTrue();
    assertThat(builds()).isEqualTo(4);
  }

  @Test
  void aCopyNeedsNoMaven() throws Exception {
    build();
    copyTheCheckout();
    withoutMaven();
    assertThat(start().text()).contains("jar is there").doesNotContain("Maven", "building");
    Files.writeString(checkout.resolve("cli/src/main/A.java"), "class B {}");
    Started changed = start();
    assertThat(changed.status()).isEqualTo(2);
    assertThat(changed.text()).startsWith("heatkv: mvn was not found").hasLineCount(1);
  }

  /** Maven alone built it, so that nobody knows of which sources. */
  @Test
  void aCopyOfAnotherBuildIsUsedWhereThereIsNoMaven() throws Exception {
    build();
    Files.delete(checkout.resolve("cli/target/heatkv.built"));
    Files.delete(checkout.resolve("cli/target/heatkv.seen"));
    copyTheCheckout();
    Files.setLastModifiedTime(
        checkout.resolve("cli/target/heatkv.jar"), FileTime.from(Instant.EPOCH));
    withoutMaven();
    assertThat(start().text()).contains("jar is there", "without Maven it is unknown");
    assertThat(start().text()).contains("jar is there").doesNotContain("unknown");
  }

  @Test
  void aBuildThatFailsIsShownAndTriedAgain() throws Exception {
    String sound = Files.readString(maven.resolve("mvn"));
    script(maven.resolve("mvn"), "#!/bin/bash\necho broken source\nexit 1\n");
    Started failed = start();
    assertThat(failed.status()).isEqualTo(2);
    assertThat(failed.text()).contains("broken source", "heatkv: the build failed");
    script(maven.resolve("mvn"), sound);
    build();
  }

  /** SIGTERM while Maven works: both end, and no half of a build is taken for one. */
  @Test
  void anInterruptEndsTheBuild() throws Exception {
    Path started = folder.resolve("started");
    String sound = Files.readString(maven.resolve("mvn"));
    script(
        maven.resolve("mvn"),
        "#!/bin/bash\necho $$ >'"
            + started
            + ".new'\nmv '"
            + started
            + ".new' '"
            + started
            + "'\nexec tail -f /dev/null\n");
    ProcessBuilder builder = new ProcessBuilder(checkout.resolve("heatkv").toString());
    builder.environment().putAll(environment);
    Process process = builder.redirectErrorStream(true).start();
    try {
      while (process.isAlive() && !Files.exists(started)) {
        Thread.onSpinWait();
      }
      process.destroy();
      assertThat(process.waitFor()).isEqualTo(143);
      ProcessHandle.of(Long.parseLong(Files.readString(started).strip()))
          .ifPresent(tail -> tail.onExit().join());
    } finally {
      process.destroyForcibly();
    }
    assertThat(checkout.resolve("cli/target")).isEmptyDirectory();
    script(maven.resolve("mvn"), sound);
    build();
  }
}
