package io.heatkv.convert;

import io.heatkv.checkpoint.Fingerprint;
import io.heatkv.checkpoint.ShardedWriter;
import io.heatkv.error.UserException;
import io.heatkv.json.JsonFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.HexFormat;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.UUID;
import java.util.stream.Stream;

/** The SHA256SUMS of a model folder: those of its subfolders' shards, and its small files'. */
public final class FolderSums {
  private static final int DIGITS = 64;
  private static final int SMALL = 64 << 20;

  private FolderSums() {}

  /** Writes it anew, reading nothing that a subfolder has already summed. */
  public static void write(Path folder) {
    SortedMap<String, String> sums = new TreeMap<>();
    try (Stream<Path> all = Files.walk(folder, 2)) {
      List<Path> files = all.filter(Files::isRegularFile).sorted().toList();
      for (Path file : files) {
        if (file.endsWith(ShardedWriter.SUMS) && !file.equals(folder.resolve(ShardedWriter.SUMS))) {
          for (String line : Files.readAllLines(file)) {
            String name = file.resolveSibling(line.substring(DIGITS + 2)).toString();
            sums.put(unixName(folder, Path.of(name)), line.substring(0, DIGITS));
          }
        }
      }
      for (Path file : files) {
        String name = unixName(folder, file);
        if (!file.endsWith(ShardedWriter.SUMS)
            && !sums.containsKey(name)
            && Files.size(file) <= SMALL) {
          byte[] digest = Fingerprint.sha256().digest(Files.readAllBytes(file));
          sums.put(name, HexFormat.of().formatHex(digest));
        }
      }
      JsonFile.write(folder.resolve(ShardedWriter.SUMS), ShardedWriter.sumLines(sums));
    } catch (IOException e) {
      throw new UserException(folder + ": can't be summed: " + e.getMessage(), e);
    }
  }

  /** Writes a file beside the target first, so that the target is never half-written. */
  public static void replace(Path target, byte[] content) throws IOException {
    Path temporary = target.resolveSibling(".heatkv-" + UUID.randomUUID() + ".tmp");
    try {
      Files.write(temporary, content);
      Files.move(
          temporary, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(temporary);
    }
  }

  private static String unixName(Path folder, Path file) {
    return folder.relativize(file).toString().replace('\\', '/');
  }
}
