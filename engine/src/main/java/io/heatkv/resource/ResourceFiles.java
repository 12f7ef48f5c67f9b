package io.heatkv.resource;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.JarURLConnection;
import java.net.URI;
import java.net.URL;
import java.net.URLConnection;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
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
   * A folder that holds all files, unpacked below {@code cache} if they come from jars.
   *
   * @throws UserException if a resource is missing or the cache folder can't be written
   */
  public Path unpack(Path cache) {
    try {
      Path exploded = explodedFolder();
      if (exploded != null) {
        return exploded;
      }
      List<Packed> packed = describe();
      Path folder = cache.resolve(label + "-" + key(packed));
      Files.createDirectories(folder);
      for (Packed file : packed) {
        Path target = folder.resolve(file.item.fileName);
        if (!isWhole(file, target)) {
          write(file, target);
        }
      }
      return folder;
    } catch (IOException e) {
      throw new UserException(
          "cache folder "
              + cache
              + ": can't unpack "
              + label
              + " ("
              + e
              + "); free some space or name another folder with HEATKV_CACHE",
          e);
    }
  }

  /** Whether the target is as it was written. */
  private static boolean isWhole(Packed file, Path target) throws IOException {
    return Files.isRegularFile(target)
        && Files.size(target) == file.size
        && Files.getLastModifiedTime(target).equals(date(file));
  }

  /**
   * The date that an unpacked file gets: its checksum, in seconds. Who changes the file changes the
   * date too, so that a start sees it without reading hundreds of megabytes.
   */
  private static FileTime date(Packed file) {
    return FileTime.from(file.crc, TimeUnit.SECONDS);
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
      if (crc(folder.resolve(file.item.fileName)) != file.crc) {
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

  private static void write(Packed file, Path target) throws IOException {
    Files.createDirectories(target.getParent());
    Path temporary = Files.createTempFile(target.getParent(), ".unpacking", null);
    try {
      CRC32 crc = new CRC32();
      try (InputStream in = new CheckedInputStream(file.url.openStream(), crc);
          OutputStream out = Files.newOutputStream(temporary)) {
        in.transferTo(out);
      }
      if (Files.size(temporary) != file.size || crc.getValue() != file.crc) {
        throw new IOException(file.item.resource + " is damaged in its jar");
      }
      Files.setLastModifiedTime(temporary, date(file));
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
    try (CheckedInputStream in = new CheckedInputStream(Files.newInputStream(file), new CRC32())) {
      in.transferTo(OutputStream.nullOutputStream());
      return in.getChecksum().getValue();
    }
  }
}
