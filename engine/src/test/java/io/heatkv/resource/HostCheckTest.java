package io.heatkv.resource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.Remedy;
import io.heatkv.error.UserException;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.net.MalformedURLException;
import java.net.URI;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Processes that the engine refuses, each in one line with what to do. */
class HostCheckTest {
  @TempDir Path folder;

  /** A process that asks whether it is fit. */
  static final class Child {
    private Child() {}

    public static void main(String[] arguments) {
      try {
        HostCheck.require();
      } catch (UserException e) {
        System.out.println(e.getMessage());
      }
    }
  }

  /** A jar of some of our classes. */
  private Path jar(String name, Class<?>... types) throws IOException {
    Path jar = folder.resolve(name);
    try (FileSystem zip = FileSystems.newFileSystem(jar, Map.of("create", "true"))) {
      for (Class<?> type : types) {
        Path entry = zip.getPath(type.getName().replace('.', '/') + ".class");
        Files.createDirectories(entry.getParent());
        try (InputStream in = type.getClassLoader().getResourceAsStream(entry.toString())) {
          Files.copy(in, entry);
        }
      }
    }
    return jar;
  }

  /** Jars or a build's folder. */
  @Test
  void twoEnginesOnOneClassPathAreNamed() throws Exception {
    Path older = jar("heatkv-engine-0.1.0.jar", HostCheck.class);
    Path errors = jar("error.jar", UserException.class, Remedy.class);
    assertTwoAreNamed(older, jar("heatkv-engine-0.2.0.jar", HostCheck.class), errors);
    assertTwoAreNamed(place(HostCheck.class), older, errors);
  }

  /** On the module path files have another form of address. */
  @Test
  void filesAreNamedAsUsersWriteThem() {
    assertThatThrownBy(() ->
            HostCheck.requireOne(
                Stream.of("jar:file:///a/one.jar!/", "jar:file:/a/two.jar!/", "file:///a/classes/")
                    .map(place -> place + "io/heatkv/resource/HostCheck.class")
                    .map(HostCheckTest::url)
                    .toList()))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("3 times: /a/one.jar and /a/two.jar and /a/classes; keep one");
  }

  private static URL url(String text) {
    try {
      return URI.create(text).toURL();
    } catch (MalformedURLException e) {
      throw new AssertionError(e);
    }
  }

  private static void assertTwoAreNamed(Path older, Path newer, Path errors) throws Exception {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-cp",
                String.join(
                    File.pathSeparator,
                    older.toString(),
                    newer.toString(),
                    errors.toString(),
                    place(Child.class).toString()),
                Child.class.getName())
            .redirectErrorStream(true)
            .start();
    assertThat(process.inputReader().readAllAsString())
        .isEqualTo(
            "the class path has the engine 2 times: %s and %s; keep one of them\n"
                .formatted(older, newer));
    assertThat(process.waitFor()).isZero();
  }

  private static Path place(Class<?> type) throws Exception {
    return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI());
  }

  /** Loaders of one process may have one each, also where one is the other's parent. */
  @Test
  void loadersWithOneEngineEachAreFit() throws Exception {
    URL[] one = {jar("a.jar", HostCheck.class).toUri().toURL()};
    URL[] other = {jar("b.jar", HostCheck.class).toUri().toURL()};
    try (URLClassLoader parent = new URLClassLoader(one, null);
        URLClassLoader child = new URLClassLoader(other, parent)) {
      Class<?> loaded = Class.forName(HostCheck.class.getName(), false, child);
      assertThat(HostCheck.copies(loaded)).hasSize(1);
    }
    assertThatCode(() -> HostCheck.requireOne(HostCheck.copies(HostCheck.class)))
        .doesNotThrowAnyException();
  }

  @ParameterizedTest
  @ValueSource(strings = {"25", "25.0.1", "25.0.2+7"})
  void javaThatCorruptsArraysWithG1IsRefused(String version) {
    Runtime.Version java = Runtime.Version.parse(version);
    assertThatThrownBy(() -> HostCheck.requireSound(java, true))
        .isInstanceOf(UserException.class)
        .hasMessage(
            "Java "
                + java
                + " can corrupt arrays with G1 (JDK-8377811); install 25.0.3 or newer, or start it with -XX:+UseSerialGC");
    assertThatCode(() -> HostCheck.requireSound(java, false)).doesNotThrowAnyException();
  }

  @ParameterizedTest
  @ValueSource(strings = {"25.0.3", "25.0.10", "25.1", "26"})
  void laterJavaIsFit(String version) {
    assertThatCode(() -> HostCheck.requireSound(Runtime.Version.parse(version), true))
        .doesNotThrowAnyException();
  }

  /** As the loaders of glibc and musl put it. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "/lib/libc.so.6: version `GLIBC_2.38' not found (required by /x.so) | needs glibc 2.38 or newer; use a newer system",
        "/x/libstdc++.so.6: version `GLIBCXX_3.4.30' not found | needs libstdc++ 3.4.30 or newer",
        "libstdc++.so.6: cannot open shared object file: No such file or directory | install it",
        "Error relocating /x.so: __memcpy_chk: symbol not found | needs glibc, which this system lacks",
        "Error loading shared library ld-linux-x86-64.so.2: No such file or directory | needs glibc",
        "/x.so: failed to map segment from shared object | mounted noexec",
        "/x.so: invalid ELF header | is it built for this system?"
      })
  void aLoadersReasonHasARemedy(String reason, String remedy) {
    assertThat(JniLibrary.refusal(Path.of("/x.so"), reason, "HEATKV_CACHE"))
        .startsWith("native library /x.so ")
        .contains(remedy)
        .hasLineCount(1);
  }
}
