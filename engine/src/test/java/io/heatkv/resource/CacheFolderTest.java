package io.heatkv.resource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.heatkv.error.UserException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.NullSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Which folder is the cache, and which folders are no place for native code. */
class CacheFolderTest {
  private static final int STRANGER = 23456;

  @TempDir Path folder;

  @BeforeEach
  void needsPosix() {
    assumeTrue(CacheFolder.isPosix(folder));
  }

  @Test
  void aNamedFolderWins() {
    Map<String, String> environment = Map.of("XDG_CACHE_HOME", "/elsewhere");
    assertThat(CacheFolder.locate("/named", environment, "/", "Linux"))
        .isEqualTo(Path.of("/named"));
    assertThat(CacheFolder.locate("named", environment, null, "Linux"))
        .isEqualTo(Path.of("named").toAbsolutePath());
  }

  @ParameterizedTest
  @CsvSource(
      nullValues = "-",
      value = {
        "Linux, -, .cache/heatkv",
        "Linux, relative, .cache/heatkv",
        "Linux, ' ', .cache/heatkv",
        "Mac OS X, -, Library/Caches/heatkv"
      })
  void elseItLiesInTheHomeFolder(String os, String xdg, String expected) {
    Map<String, String> environment = new HashMap<>();
    if (xdg != null) {
      environment.put("XDG_CACHE_HOME", xdg);
    }
    assertThat(CacheFolder.locate(" ", environment, folder.toString(), os))
        .isEqualTo(folder.resolve(expected));
  }

  @Test
  void theUsersCacheFolderNeedsNoHome() {
    assertThat(CacheFolder.locate(null, Map.of("XDG_CACHE_HOME", "/caches"), "?", "Linux"))
        .isEqualTo(Path.of("/caches/heatkv"));
  }

  @ParameterizedTest
  @NullSource
  @ValueSource(strings = {"?", "/", "", ".", "home", "/nonexistent/home", "/dev/null", "/x\0y"})
  void anOddHomeIsRefusedUnlessThereIsAnother(String home) {
    for (String other : new String[] {"?", "/", "relative", "/nonexistent"}) {
      assertThatThrownBy(() -> CacheFolder.locate(null, Map.of("HOME", other), home, "Linux"))
          .isInstanceOf(UserException.class)
          .hasMessageContaining("'" + other + "'")
          .hasMessageContaining("HEATKV_CACHE");
    }
    assertThat(CacheFolder.locate(null, Map.of("HOME", folder.toString()), home, "Linux"))
        .isEqualTo(folder.resolve(".cache/heatkv"));
  }

  @Test
  void anotherUsersFolderIsNoHomeAndNoCache() throws Exception {
    giveAway(folder);
    assertThatThrownBy(() -> CacheFolder.locate(null, Map.of(), folder.toString(), "Linux"))
        .isInstanceOf(UserException.class)
        .hasMessageContaining(folder.toString());
    assertThatThrownBy(() -> CacheFolder.secure(folder))
        .isInstanceOf(UserException.class)
        .hasMessageContaining(folder.toString())
        .hasMessageContaining("another user (" + STRANGER + ")")
        .hasMessageContaining("HEATKV_CACHE");
  }

  private static void giveAway(Path file) throws Exception {
    assumeTrue((int) Files.getAttribute(file, "unix:uid") == 0, "only root can");
    Files.setAttribute(file, "unix:uid", STRANGER);
  }

  private Path made(String permissions) throws Exception {
    Path made = Files.createDirectory(folder.resolve("cache"));
    return Files.setPosixFilePermissions(made, PosixFilePermissions.fromString(permissions));
  }

  @ParameterizedTest
  @ValueSource(strings = {"rwxr-xr-x", "rwx------", "r-xr-xr-x"})
  void aFolderThatOnlyTheUserWritesIsTaken(String permissions) throws Exception {
    Path made = made(permissions);
    assertThat(CacheFolder.secure(made)).isEqualTo(made.toRealPath());
    Path link = Files.createSymbolicLink(folder.resolve("link"), made);
    assertThat(CacheFolder.secure(link)).isEqualTo(made.toRealPath());
  }

  @Test
  void aMissingFolderIsMadeForTheUserAlone() throws Exception {
    Path made = CacheFolder.secure(folder.resolve("a/b"));
    assertThat(Files.getPosixFilePermissions(made))
        .isSubsetOf(PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"rwxrwxrwx", "rwxrwxr-x", "rwxr-x-w-"})
  void aFolderThatOthersWriteIsRefused(String permissions) throws Exception {
    Path made = made(permissions);
    assertThatThrownBy(() -> CacheFolder.secure(made))
        .isInstanceOf(UserException.class)
        .hasMessageContaining(made.toString())
        .hasMessageContaining(permissions)
        .hasMessageContaining("HEATKV_CACHE");
    assertThat(made).isEmptyDirectory();
  }

  /** As /tmp is, and a tmpfs of a container. */
  @Test
  void inASharedFolderTheUserGetsOneOfHisOwn() throws Exception {
    Path shared = shared();
    Path own = CacheFolder.secure(shared);
    assertThat(own).hasParent(shared.toRealPath());
    assertThat(Files.getPosixFilePermissions(own))
        .isSubsetOf(PosixFilePermissions.fromString("rwxr-xr-x"));
    assertThat(CacheFolder.secure(shared)).isEqualTo(own);
    Files.setPosixFilePermissions(own, PosixFilePermissions.fromString("rwxrwxrwx"));
    assertThatThrownBy(() -> CacheFolder.secure(shared))
        .isInstanceOf(UserException.class)
        .hasMessageContaining(own.toString());
  }

  /** A user id without an account, which Java calls "?", is known by its number. */
  @Test
  void aUserWithoutAnAccountGetsOneToo() throws Exception {
    assumeTrue((int) Files.getAttribute(folder, "unix:uid") == 0, "only root can");
    Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxr-xr-x"));
    Path shared = made("rwxrwxrwx");
    for (int start = 0; start < 2; start++) {
      Process process =
          new ProcessBuilder(
                  "setpriv",
                  "--reuid=" + STRANGER,
                  "--regid=" + STRANGER,
                  "--clear-groups",
                  Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                  "-cp",
                  System.getProperty("java.class.path"),
                  Stranger.class.getName(),
                  shared.toString())
              .redirectErrorStream(true)
              .start();
      assertThat(process.inputReader().readAllLines())
          .containsExactly(shared.toRealPath().resolve("heatkv-" + STRANGER).toString());
    }
  }

  /** Run as another user. */
  static final class Stranger {
    private Stranger() {}

    public static void main(String[] arguments) {
      System.out.println(CacheFolder.secure(Path.of(arguments[0])));
    }
  }

  @Test
  void whatAnotherUserPutThereIsNotTaken() throws Exception {
    Path shared = shared();
    Path own = CacheFolder.secure(shared);
    giveAway(own);
    assertThatThrownBy(() -> CacheFolder.secure(shared))
        .isInstanceOf(UserException.class)
        .hasMessageContaining(own.toString());
    Files.delete(own);
    Files.createSymbolicLink(own, Files.createDirectory(folder.resolve("elsewhere")));
    assertThatThrownBy(() -> CacheFolder.secure(shared))
        .isInstanceOf(UserException.class)
        .hasMessageContaining(own.toString());
  }

  private Path shared() throws Exception {
    Path shared = Files.createDirectory(folder.resolve("shared"));
    Files.setAttribute(shared, "unix:mode", 01777);
    return shared;
  }

  @Test
  void aFolderThatCannotBeMadeIsNamed() {
    Path impossible = Path.of("/proc/none/cache");
    assertThatThrownBy(() -> CacheFolder.secure(impossible))
        .isInstanceOf(UserException.class)
        .hasMessageContaining(impossible.toString())
        .hasMessageContaining("HEATKV_CACHE");
  }

  /** What glibc and macOS say of a file on a file system mounted noexec, and of other faults. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "/c/x.so: failed to map segment from shared object | noexec",
        "x.so: failed to map segment from shared object: Operation not permitted | noexec",
        "code signature in <x> not valid for use in process | noexec",
        "/c/x.so: invalid ELF header | is it built for this system",
        "libz.so.1: cannot open shared object file: No such file or directory | libz.so.1"
      })
  void aRefusedLibrarySaysWhatItsFolderLacks(String reason, String expected) {
    String text = JniLibrary.refusal(Path.of("/c/x.so"), reason, "HEATKV_CACHE");
    assertThat(text).contains("/c/x.so", expected);
    assertThat(text.contains("HEATKV_CACHE")).isEqualTo(expected.equals("noexec"));
  }
}
