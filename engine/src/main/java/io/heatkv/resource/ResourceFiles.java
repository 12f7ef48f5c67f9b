package io.heatkv.resource;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.JarURLConnection;
import java.net.URI;
import java.net.URL;
import java.net.URLConnection;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLockInterruptionException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CancellationException;
import java.util.zip.CRC32;
import java.util.zip.CheckedInputStream;
import java.util.zip.ZipEntry;
import org.jspecify.annotations.Nullable;

/** A set of class-path resources that must lie in one folder as files. */
public final class ResourceFiles {
  /**
   * A resource and the file name it gets.
   *
   * @param resource absolute resource name without a leading slash
   * @param fileName path below the folder
   */
  public record Item(String resource, String fileName) {}

  private record Packed(Item item, URL url, long size, long crc) {}

  private static final int BLOCK = 1 << 20;

  private final String label;
  private final List<Item> items;
  private final Class<?> anchor;

  /**
   * @param label what the files are, for the folder's name and messages
   * @param anchor class whose loader finds the resources
   */
  public ResourceFiles(String label, Class<?> anchor, List<Item> items) {
    this.label = label;
    this.anchor = anchor;
    this.items = List.copyOf(items);
  }

  /** Whether every resource is on the class path. */
  public boolean arePresent() {
    return items.stream().allMatch(item -> find(item) != null);
  }

  /**
   * A folder that holds all files, unpacked below {@code cache} if they come from jars. Files that
   * lie there already are compared by content, unless nothing touched them since that was done.
   *
   * @throws UserException if a resource is missing, the cache folder can't be written or isn't safe
   * @throws CancellationException if the thread is interrupted
   */
  public Path unpack(Path cache) {
    long bytes = 0;
    try {
      Path exploded = explodedFolder();
      if (exploded != null) {
        return exploded;
      }
      List<Packed> packed = describe();
      bytes = packed.stream().mapToLong(Packed::size).sum();
      Path root = CacheFolder.secure(cache);
      String name = label + "-" + key(packed);
      Path folder = root.resolve(name);
      Seal seal = new Seal(root, name);
      if (Files.isDirectory(folder) && isWhole(folder, packed, seal)) {
        Unpacking.removeLeftOvers(root);
        return CacheFolder.secureBelow(root, name);
      }
      Unpacking.alone(
          root,
          () -> {
            CacheFolder.secureBelow(root, name);
            for (Packed file : packed) {
              Path target = folder.resolve(file.item.fileName);
              // Another process may have written it meanwhile.
              if (!isWhole(target, file)) {
                write(file, target, root);
              }
            }
            seal.close(names());
          });
      return folder;
    } catch (ClosedByInterruptException | FileLockInterruptionException e) {
      throw (CancellationException) new CancellationException("interrupted").initCause(e);
    } catch (IOException e) {
      throw new UserException(unwritable(cache, bytes, e), e);
    }
  }

  private String unwritable(Path cache, long bytes, IOException e) {
    String reason = CacheFolder.reason(e);
    boolean full = reason.contains("space left") || reason.contains("quota");
    return "cache folder %s: can't unpack %s, which takes %d MB (%s); %sname %s folder with %s"
        .formatted(
            cache,
            label,
            Math.ceilDiv(bytes, 1_000_000),
            reason,
            full ? "free some space or " : "",
            full ? "another" : "a writable",
            CacheFolder.VARIABLE);
  }

  private List<String> names() {
    return items.stream().map(Item::fileName).toList();
  }

  private boolean isWhole(Path folder, List<Packed> packed, Seal seal) throws IOException {
    if (seal.holds(names())) {
      return true;
    }
    for (Packed file : packed) {
      if (!isWhole(folder.resolve(file.item.fileName), file)) {
        return false;
      }
    }
    try {
      seal.close(names());
    } catch (IOException _) {
      // A cache that can't be written is read again at each start.
    }
    return true;
  }

  private static boolean isWhole(Path target, Packed file) throws IOException {
    return Files.isRegularFile(target)
        && Files.size(target) == file.size
        && crc(target) == file.crc;
  }

  /**
   * Names of unpacked files whose content differs from the resource, for a thorough check.
   *
   * @param folder what {@link #unpack} returned
   */
  public List<String> damaged(Path folder) throws IOException {
    List<String> names = new ArrayList<>();
    if (explodedFolder() != null) {
      return names;
    }
    for (Packed file : describe()) {
      if (!isWhole(folder.resolve(file.item.fileName), file)) {
        names.add(file.item.fileName);
      }
    }
    return names;
  }

  /** The folder of plain class files, if the resources lie there under their own file names. */
  private @Nullable Path explodedFolder() {
    Path folder = null;
    for (Item item : items) {
      URL url = find(item);
      if (url == null || !url.getProtocol().equals("file")) {
        return null;
      }
      Path file = Path.of(URI.create(url.toString()));
      Path name = Path.of(item.fileName);
      if (!file.endsWith(name)) {
        return null;
      }
      Path root = file;
      for (int i = 0; i < name.getNameCount(); i++) {
        root = Objects.requireNonNull(root.getParent());
      }
      if (folder != null && !folder.equals(root)) {
        return null;
      }
      folder = root;
    }
    return folder;
  }

  private @Nullable URL find(Item item) {
    return anchor.getClassLoader().getResource(item.resource);
  }

  private List<Packed> describe() throws IOException {
    List<Packed> packed = new ArrayList<>();
    for (Item item : items) {
      URL url = find(item);
      if (url == null) {
        throw new UserException(
            label + ": resource " + item.resource + " is not on the class path; add its jar");
      }
      URLConnection connection = url.openConnection();
      if (connection instanceof JarURLConnection jar) {
        ZipEntry entry = jar.getJarEntry();
        packed.add(new Packed(item, url, entry.getSize(), entry.getCrc()));
      } else {
        CRC32 crc = new CRC32();
        try (InputStream in = new CheckedInputStream(connection.getInputStream(), crc)) {
          long size = in.transferTo(OutputStream.nullOutputStream());
          packed.add(new Packed(item, url, size, crc.getValue()));
        }
      }
    }
    return packed;
  }

  private static String key(List<Packed> packed) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (Packed file : packed) {
        String line = file.item.fileName + " " + file.size + " " + file.crc + "\n";
        digest.update(line.getBytes(StandardCharsets.UTF_8));
      }
      return HexFormat.of().formatHex(digest.digest(), 0, 8);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void write(Packed file, Path target, Path root) throws IOException {
    Files.createDirectories(target.getParent(), CacheFolder.permissions(target, "rwxr-xr-x"));
    Path temporary = Unpacking.newFile(root);
    try {
      CRC32 crc = new CRC32();
      // A channel, so that an interrupt ends it.
      try (InputStream in = new CheckedInputStream(file.url.openStream(), crc);
          OutputStream out =
              Channels.newOutputStream(FileChannel.open(temporary, StandardOpenOption.WRITE))) {
        in.transferTo(out);
      }
      if (Files.size(temporary) != file.size || crc.getValue() != file.crc) {
        throw new IOException(file.item.resource + " is damaged in its jar");
      }
      try {
        Files.move(
            temporary, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      } catch (AtomicMoveNotSupportedException e) {
        Files.move(temporary, target, StandardCopyOption.REPLACE_EXISTING);
      }
    } finally {
      Files.deleteIfExists(temporary);
    }
  }

  private static long crc(Path file) throws IOException {
    CRC32 crc = new CRC32();
    ByteBuffer buffer = ByteBuffer.allocateDirect(BLOCK);
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      while (channel.read(buffer.clear()) >= 0) {
        crc.update(buffer.flip());
      }
    }
    return crc.getValue();
  }
}
