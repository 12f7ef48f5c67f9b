package io.heatkv.tensor.libtorch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.heatkv.error.UserException;
import io.heatkv.resource.CacheFolder;
import io.heatkv.resource.Release;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Systems that natives exist for, and what the others are told. */
class NativePlatformTest {
  private static final Pattern NEEDED = Pattern.compile("GLIBC_(\\d+\\.\\d+)");

  private static void refused(Runnable check, String start, String remedy) {
    assertThatThrownBy(check::run)
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith(start)
        .hasMessageContaining(remedy)
        .message()
        .hasLineCount(1);
  }

  @ParameterizedTest
  @CsvSource({
    "Linux, amd64, linux-x86_64, true",
    "Linux, aarch64, linux-arm64, false",
    "Mac OS X, aarch64, macosx-arm64, true"
  })
  void systemsAreNamedAsOnMavenCentral(
      String os, String arch, String classifier, boolean isServed) {
    assertThat(NativePlatform.of(os, arch))
        .returns(classifier, NativePlatform::classifier)
        .returns(isServed, NativePlatform::isServed);
  }

  @Test
  void otherSystemsAreToldWhatIsSupported() {
    refused(() -> NativePlatform.of("Windows 11", "amd64"), "Windows is not supported: ", "WSL 2");
    refused(() -> NativePlatform.of("Mac OS X", "x86_64"), "Mac OS X on x86_64", "arm64");
    refused(() -> NativePlatform.of("FreeBSD", "amd64"), "FreeBSD on amd64", "Linux on x86-64");
  }

  @Test
  void aMissingClassifierNamesTheDependencyToAdd() {
    assertThat(LibTorchLocation.missing(NativePlatform.of("Linux", "amd64")))
        .startsWith("no libtorch for linux-x86_64 on the class path; add <dependency>")
        .contains(
            "<groupId>io.github.heatkv</groupId><artifactId>heatkv-natives-linux-x86_64</artifactId><version>"
                + Release.version()
                + "</version><type>pom</type></dependency>")
        .hasLineCount(1);
    assertThat(LibTorchLocation.missing(NativePlatform.of("Linux", "aarch64")))
        .contains("Maven Central has no libtorch for linux-arm64", LibTorchLocation.VARIABLE)
        .hasLineCount(1);
  }

  @Test
  void muslAndOldGlibcAreRefused() {
    refused(
        () -> CLibrary.require(Optional.empty()),
        "this system's C library isn't glibc",
        "debian:bookworm-slim");
    refused(
        () -> CLibrary.require(Optional.of("2.17")),
        "this system's glibc 2.17 is older",
        "Ubuntu 22.04");
    refused(
        () -> CLibrary.require(Optional.of("2.4")),
        "this system's glibc 2.4 is older",
        "Debian 12");
  }

  @ParameterizedTest
  @ValueSource(strings = {"2.35", "2.36", "2.41.9000"})
  void newerGlibcIsFit(String version) {
    assertThatCode(() -> CLibrary.require(Optional.of(version))).doesNotThrowAnyException();
  }

  /** The bound is what the files ask for. */
  @Test
  void theLeastGlibcIsTheNativesOwn() throws IOException {
    LibTorchLocation location = LibTorchLocation.find(null, CacheFolder.locate());
    assumeTrue(location.source().contains("Maven Central") && NativePlatform.current().isLinux());
    Runtime.Version needed = Runtime.Version.parse("1");
    for (String file : List.of("libtorch_cpu.so", "libc10.so", "libopenblas.so.0")) {
      // Names of versions stand together, near the start.
      byte[] start = new byte[64 << 20];
      int length;
      try (InputStream in = Files.newInputStream(location.folder().resolve(file))) {
        length = in.readNBytes(start, 0, start.length);
      }
      String text = new String(start, 0, length, StandardCharsets.ISO_8859_1);
      for (MatchResult match : NEEDED.matcher(text).results().toList()) {
        Runtime.Version version = Runtime.Version.parse(match.group(1));
        needed = version.compareTo(needed) > 0 ? version : needed;
      }
    }
    assertThat(needed).isEqualTo(CLibrary.LEAST);
  }

  /** A process of its own that opens libtorch where native code is forbidden. */
  static final class Child {
    private Child() {}

    public static void main(String[] arguments) {
      try {
        LibTorch.open(LibTorchLocation.find(null, CacheFolder.locate()), 1);
      } catch (UserException e) {
        System.out.println(e.getMessage());
      }
    }
  }

  @Test
  void aProcessThatForbidsNativeCodeIsToldTheFlag() throws Exception {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--illegal-native-access=deny",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                Child.class.getName())
            .redirectErrorStream(true)
            .start();
    assertThat(process.inputReader().readAllAsString())
        .isEqualTo(
            "this process forbids native code; start java with --enable-native-access=ALL-UNNAMED\n");
    assertThat(process.waitFor()).isZero();
  }
}
