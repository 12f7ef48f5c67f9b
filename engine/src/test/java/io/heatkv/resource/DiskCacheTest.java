package io.heatkv.resource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is kept between processes, and what becomes of entries that were cut, changed or moved. */
class DiskCacheTest {
  private static final String KEY = DiskCache.key("source", "options");

  private final byte[] content = new byte[10_000];

  @TempDir Path folder;

  private Path cache() {
    new Random(3).nextBytes(content);
    return folder.resolve("cache");
  }

  private static Path entry(Path cache, String key) {
    return cache.resolve("kernels").resolve(key);
  }

  @Test
  void anotherProcessFindsWhatWasKept() throws IOException {
    Path cache = cache();
    assertThat(new DiskCache("kernels", cache).get(KEY)).isEmpty();
    assertThat(cache).as("asking makes no folder").doesNotExist();
    new DiskCache("kernels", cache).put(KEY, content);
    assertThat(new DiskCache("kernels", cache).get(KEY)).hasValue(content);
    assertThat(new DiskCache("kernels", cache).get(DiskCache.key("other"))).isEmpty();
    try (Stream<Path> left = Files.list(cache)) {
      assertThat(left.map(path -> path.getFileName().toString()))
          .containsExactlyInAnyOrder("kernels", ".lock");
    }
  }

  /** The digest that a file begins with is SHA-256 of its name and content (FIPS 180-4). */
  @Test
  void entriesBeginWithTheDigestOfNameAndContent() throws Exception {
    Path cache = cache();
    new DiskCache("kernels", cache).put(KEY, content);
    String script = "(printf %s \"$1\"; tail -c +33 \"$2\") | sha256sum";
    Process sum =
        new ProcessBuilder("sh", "-c", script, "sh", KEY, entry(cache, KEY).toString()).start();
    assumeTrue(sum.waitFor() == 0, "needs sha256sum");
    String told = new String(sum.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    byte[] stored = Files.readAllBytes(entry(cache, KEY));
    assertThat(told).startsWith(HexFormat.of().formatHex(Arrays.copyOf(stored, 32)) + " ");
  }

  @Test
  void damagedEntriesAreNotTakenAndReplaced() throws IOException {
    Path cache = cache();
    DiskCache kept = new DiskCache("kernels", cache);
    kept.put(KEY, content);
    Path file = entry(cache, KEY);
    byte[] whole = Files.readAllBytes(file);
    Random random = new Random(4);
    for (int i = 0; i < 200; i++) {
      byte[] changed = whole.clone();
      changed[random.nextInt(changed.length)] ^= (byte) (1 << random.nextInt(8));
      Files.write(file, changed);
      assertThat(kept.get(KEY)).isEmpty();
    }
    for (int length : new int[] {0, 1, 31, 32, 33, whole.length - 1}) {
      Files.write(file, Arrays.copyOf(whole, length));
      assertThat(kept.get(KEY)).as("%d bytes", length).isEmpty();
    }
    kept.put(KEY, content);
    assertThat(kept.get(KEY)).hasValue(content);
  }

  @Test
  void anEntryInAnothersPlaceIsNotTaken() throws IOException {
    Path cache = cache();
    DiskCache kept = new DiskCache("kernels", cache);
    kept.put(KEY, content);
    String other = DiskCache.key("other source", "options");
    Files.copy(entry(cache, KEY), entry(cache, other));
    assertThat(kept.get(other)).isEmpty();
    Files.delete(entry(cache, other));
    Files.createSymbolicLink(entry(cache, other), entry(cache, KEY));
    assertThat(kept.get(other)).isEmpty();
    Files.delete(entry(cache, other));
    Files.createDirectory(entry(cache, other));
    assertThat(kept.get(other)).isEmpty();
    kept.put(other, content);
  }

  @Test
  void partsOfAKeyAreKeptApart() {
    assertThat(DiskCache.key("ab", "c")).isNotEqualTo(DiskCache.key("a", "bc")).hasSize(64);
    assertThat(DiskCache.key("ab", "c")).isNotEqualTo(DiskCache.key("c", "ab"));
    assertThat(DiskCache.key("ab", "c")).isEqualTo(DiskCache.key("ab", "c"));
  }

  @Test
  void aFolderThatCantBeUsedKeepsNothing() throws IOException {
    Path file = Files.createFile(folder.resolve("file"));
    for (Path cache : new Path[] {null, file, file.resolve("below")}) {
      DiskCache kept = new DiskCache("kernels", cache);
      kept.put(KEY, content);
      assertThat(kept.get(KEY)).isEmpty();
    }
  }

  @Test
  void aFullOrReadOnlyFolderIsReadAndNotWritten() throws IOException {
    Path cache = cache();
    new DiskCache("kernels", cache).put(KEY, content);
    // Its lock can't be opened: so it is on a disk that is read-only.
    Files.delete(cache.resolve(".lock"));
    Files.createDirectory(cache.resolve(".lock"));
    DiskCache kept = new DiskCache("kernels", cache);
    assertThat(kept.get(KEY)).hasValue(content);
    kept.put(DiskCache.key("new"), content);
    assertThat(kept.get(DiskCache.key("new"))).isEmpty();
  }

  @Test
  void nothingIsTakenFromAFolderThatOthersCanWrite() throws IOException {
    Path cache = cache();
    assumeTrue(CacheFolder.isPosix(folder));
    DiskCache kept = new DiskCache("kernels", cache);
    kept.put(KEY, content);
    Files.setPosixFilePermissions(
        cache.resolve("kernels"), PosixFilePermissions.fromString("rwxrwxrwx"));
    assertThat(kept.get(KEY)).isEmpty();
  }

  @Test
  void theOldestEntriesGo() throws IOException {
    Path cache = cache();
    DiskCache kept = new DiskCache("kernels", cache);
    for (int i = 0; i < DiskCache.CAPACITY; i++) {
      String key = DiskCache.key("source " + i);
      kept.put(key, new byte[] {(byte) i});
      Files.setLastModifiedTime(entry(cache, key), FileTime.fromMillis(1_000_000L + 1000 * i));
    }
    assertThat(kept.get(DiskCache.key("source 0"))).isPresent();
    kept.put(DiskCache.key("one more"), content);
    assertThat(kept.get(DiskCache.key("source 0"))).isEmpty();
    assertThat(kept.get(DiskCache.key("source 1"))).hasValue(new byte[] {1});
    assertThat(kept.get(DiskCache.key("one more"))).hasValue(content);
  }
}
