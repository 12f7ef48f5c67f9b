package io.heatkv.resource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermission;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Unpacking from a jar, and what becomes of files that were cut or changed in the cache. */
class ResourceFilesTest {
  /** Stands in the jar; its loader finds the resources. */
  static final class Anchor {}

  private final byte[] large = new byte[3_000_000];
  private final byte[] small = new byte[1000];

  @TempDir Path folder;
  private Path cache;
  private URLClassLoader loader;
  private ResourceFiles files;

  @BeforeEach
  void packAJar() throws Exception {
    new Random(5).nextBytes(large);
    new Random(6).nextBytes(small);
    cache = folder.resolve("cache");
    Path jar = folder.resolve("natives.jar");
    String anchor = Anchor.class.getName().replace('.', '/') + ".class";
    try (InputStream in = Anchor.class.getClassLoader().getResourceAsStream(anchor)) {
      pack(
          jar,
          Map.of(anchor, in.readAllBytes(), "natives/large.so", large, "natives/small.so", small));
    }
    loader = new URLClassLoader(new URL[] {jar.toUri().toURL()}, null);
    files = files("natives/large.so", "natives/small.so");
  }

  private static void pack(Path jar, Map<String, byte[]> entries) throws IOException {
    try (OutputStream out = Files.newOutputStream(jar);
        JarOutputStream packed = new JarOutputStream(out)) {
      for (Map.Entry<String, byte[]> entry : entries.entrySet()) {
        packed.putNextEntry(new JarEntry(entry.getKey()));
        packed.write(entry.getValue());
        packed.closeEntry();
      }
    }
  }

  private ResourceFiles files(String... resources) throws ClassNotFoundException {
    return new ResourceFiles(
        "test",
        loader.loadClass(Anchor.class.getName()),
        Stream.of(resources)
            .map(name -> new ResourceFiles.Item(name, name.substring("natives/".length())))
            .toList());
  }

  @AfterEach
  void closeTheJar() throws IOException {
    loader.close();
  }

  private void assertWhole(Path unpacked) throws IOException {
    assertThat(Files.readAllBytes(unpacked.resolve("large.so"))).isEqualTo(large);
    assertThat(Files.readAllBytes(unpacked.resolve("small.so"))).isEqualTo(small);
    assertThat(files.damaged(unpacked)).isEmpty();
    try (Stream<Path> all = Files.list(unpacked)) {
      assertThat(all).hasSize(2);
    }
  }

  @Test
  void unpacksOnceAndLeavesWholeFilesAlone() throws IOException {
    Path unpacked = files.unpack(cache);
    assertWhole(unpacked);
    assertThat(unpacked).hasParent(cache);
    Object before = Files.readAttributes(unpacked.resolve("large.so"), "*").get("fileKey");
    assertThat(files.unpack(cache)).isEqualTo(unpacked);
    assertThat(Files.readAttributes(unpacked.resolve("large.so"), "*").get("fileKey"))
        .isEqualTo(before);
  }

  @Test
  void repairsFilesThatAreCutChangedOrMissing() throws IOException {
    Path unpacked = files.unpack(cache);
    Path file = unpacked.resolve("large.so");
    Files.write(file, Arrays.copyOf(large, 1000));
    assertThat(files.damaged(unpacked)).containsExactly("large.so");
    assertWhole(files.unpack(cache));
    byte[] changed = large.clone();
    changed[1_234_567] ^= 1;
    Files.write(file, changed);
    assertThat(files.damaged(unpacked)).containsExactly("large.so");
    assertWhole(files.unpack(cache));
    Files.delete(file);
    assertWhole(files.unpack(cache));
  }

  /** Dates are those of the copy: cp -r, an image's layers. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aCopyIsAsGood(boolean sealed) throws Exception {
    files.unpack(cache);
    Path copy = folder.resolve("copy");
    try (Stream<Path> all = Files.walk(cache)) {
      for (Path file : all.toList()) {
        if (sealed || !file.toString().endsWith(".seal")) {
          Path target = copy.resolve(cache.relativize(file));
          Files.copy(file, target);
          Files.setLastModifiedTime(target, FileTime.fromMillis(86_400_000));
        }
      }
    }
    Path file = copy.resolve(cache.relativize(files.unpack(cache))).resolve("large.so");
    Object before = Files.readAttributes(file, "*").get("fileKey");
    assertWhole(files.unpack(copy));
    assertThat(Files.readAttributes(file, "*").get("fileKey")).isEqualTo(before);
  }

  /** A file that was changed and got its old date back, as a backup or a faulty disk does. */
  @Test
  void aDateIsNoProof() throws Exception {
    Path unpacked = files.unpack(cache);
    Path file = unpacked.resolve("large.so");
    FileTime date = Files.getLastModifiedTime(file);
    byte[] changed = large.clone();
    changed[2_000_000] ^= 64;
    Files.write(file, changed);
    Files.setLastModifiedTime(file, date);
    assertWhole(files.unpack(cache));
  }

  @ParameterizedTest
  @ValueSource(strings = {".unpacking123", "%s/.unpacking123.tmp", "other-0123/.unpacking"})
  void leftOversOfAKilledStartAreRemoved(String name) throws Exception {
    Path unpacked = files.unpack(cache);
    Path left = cache.resolve(name.formatted(unpacked.getFileName()));
    Files.createDirectories(left.getParent());
    Files.write(left, small);
    if (name.contains("/")) {
      // Those of older versions are found when something is to be written.
      Files.delete(unpacked.resolve("small.so"));
    }
    assertWhole(files.unpack(cache));
    assertThat(left).doesNotExist();
  }

  @Test
  void anInterruptStopsIt() throws Exception {
    Thread.currentThread().interrupt();
    assertThatThrownBy(() -> files.unpack(cache)).isInstanceOf(CancellationException.class);
    assertThat(Thread.interrupted()).isTrue();
    try (Stream<Path> all = Files.walk(cache)) {
      assertThat(all.map(Path::toString)).noneMatch(file -> file.contains(".unpacking"));
    }
    assertWhole(files.unpack(cache));
  }

  /** A folder made by one user, such as an image's builder, serves the others who run it. */
  @Test
  void othersMayRead() throws Exception {
    assumeTrue(CacheFolder.isPosix(cache));
    assertThat(Files.getPosixFilePermissions(files.unpack(cache).resolve("large.so")))
        .contains(PosixFilePermission.OTHERS_READ)
        .doesNotContain(PosixFilePermission.OTHERS_WRITE, PosixFilePermission.GROUP_WRITE);
  }

  @Test
  void otherVersionsGetAnotherFolder() throws Exception {
    Path first = files.unpack(cache);
    assertThat(files("natives/small.so").unpack(cache)).isNotEqualTo(first);
  }

  @Test
  void concurrentUnpackersAllSeeWholeFiles() throws Exception {
    int threads = 6;
    for (int round = 0; round < 3; round++) {
      CyclicBarrier together = new CyclicBarrier(threads);
      List<Future<Path>> results = new ArrayList<>();
      try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
        for (int i = 0; i < threads; i++) {
          results.add(
              pool.submit(() -> {
                together.await();
                Path unpacked = files.unpack(cache);
                assertThat(Files.readAllBytes(unpacked.resolve("large.so"))).isEqualTo(large);
                return unpacked;
              }));
        }
      }
      for (Future<Path> result : results) {
        assertWhole(result.get());
      }
      // The next round begins with a damaged file.
      Files.write(results.getFirst().get().resolve("large.so"), small);
    }
  }

  @Test
  void errorsNameTheResourceOrTheCache() throws Exception {
    ResourceFiles absent = files("natives/absent.so");
    assertThat(absent.arePresent()).isFalse();
    assertThatThrownBy(() -> absent.unpack(cache))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("natives/absent.so");
    Path blocked = Files.writeString(folder.resolve("blocked"), "a file");
    assertThatThrownBy(() -> files.unpack(blocked))
        .isInstanceOf(UserException.class)
        .hasMessageContaining(blocked.toString())
        .hasMessageContaining("HEATKV_CACHE");
  }
}
