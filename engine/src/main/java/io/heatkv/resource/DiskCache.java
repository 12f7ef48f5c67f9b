package io.heatkv.resource;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Results that take long to compute, kept in the cache folder between processes.
 *
 * <p>An entry's name is the SHA-256 of all that it depends on. It begins with a SHA-256 over its
 * name and content, so that one that was cut, changed or put in another's place isn't taken. A
 * folder that can't be used, read or written only means that everything is computed anew.
 */
public final class DiskCache {
  /** The most entries kept; those written first go. */
  static final int CAPACITY = 64;

  private static final int DIGEST_BYTES = 32;
  private static final long MOST_BYTES = 64L << 20;

  private final String name;
  private final @Nullable Path cache;

  /**
   * @param name of its folder in the cache folder
   */
  public DiskCache(String name) {
    this(name, located());
  }

  /** As above below another cache folder, or null for one that keeps nothing. */
  DiskCache(String name, @Nullable Path cache) {
    this.name = name;
    this.cache = cache;
  }

  private static @Nullable Path located() {
    try {
      return CacheFolder.locate();
    } catch (UserException _) {
      return null;
    }
  }

  /** The key of what depends on these texts, in this order. */
  public static String key(String... parts) {
    MessageDigest digest = sha256();
    for (String part : parts) {
      byte[] bytes = part.getBytes(StandardCharsets.UTF_8);
      // Lengths keep neighbours apart.
      digest.update((bytes.length + "\n").getBytes(StandardCharsets.UTF_8));
      digest.update(bytes);
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  /** What was kept under a key, if it is there and whole. */
  public Optional<byte[]> get(String key) {
    if (cache == null || !Files.isDirectory(cache)) {
      return Optional.empty();
    }
    try {
      Path entry = CacheFolder.secureBelow(CacheFolder.secure(cache), name).resolve(key);
      if (!Files.isRegularFile(entry, LinkOption.NOFOLLOW_LINKS)
          || Files.size(entry) < DIGEST_BYTES
          || Files.size(entry) > MOST_BYTES) {
        return Optional.empty();
      }
      byte[] stored = Files.readAllBytes(entry);
      byte[] content = Arrays.copyOfRange(stored, DIGEST_BYTES, stored.length);
      boolean isWhole =
          MessageDigest.isEqual(Arrays.copyOf(stored, DIGEST_BYTES), seal(key, content));
      return isWhole ? Optional.of(content) : Optional.empty();
    } catch (IOException | UserException _) {
      return Optional.empty();
    }
  }

  /** Keeps something under a key, where that can be done. */
  public void put(String key, byte[] content) {
    if (cache == null) {
      return;
    }
    try {
      Path root = CacheFolder.secure(cache);
      Path folder = CacheFolder.secureBelow(root, name);
      Unpacking.alone(
          root,
          () -> {
            write(root, folder.resolve(key), seal(key, content), content);
            removeOldest(folder);
          });
    } catch (IOException | UncheckedIOException | UserException _) {
      // A full disk, a folder that is read-only or isn't ours: the next process computes it, too.
    }
  }

  private static void write(Path root, Path entry, byte[] seal, byte[] content) throws IOException {
    Path temporary = Unpacking.newFile(root);
    try {
      byte[] whole = Arrays.copyOf(seal, seal.length + content.length);
      System.arraycopy(content, 0, whole, seal.length, content.length);
      Files.write(temporary, whole);
      Files.move(
          temporary, entry, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(temporary);
    }
  }

  private record Entry(Path path, FileTime written) {}

  private static void removeOldest(Path folder) throws IOException {
    List<Entry> entries = new ArrayList<>();
    try (Stream<Path> paths = Files.list(folder)) {
      for (Path path : paths.toList()) {
        try {
          entries.add(new Entry(path, Files.getLastModifiedTime(path, LinkOption.NOFOLLOW_LINKS)));
        } catch (NoSuchFileException _) {
          // Somebody clears the folder.
        }
      }
    }
    entries.sort(Comparator.comparing(Entry::written));
    for (Entry entry : entries.subList(0, Math.max(0, entries.size() - CAPACITY))) {
      Files.deleteIfExists(entry.path);
    }
  }

  private static byte[] seal(String key, byte[] content) {
    MessageDigest digest = sha256();
    digest.update(key.getBytes(StandardCharsets.UTF_8));
    return digest.digest(content);
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
