package io.heatkv.resource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
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
