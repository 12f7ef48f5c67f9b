package io.heatkv.resource;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.FileLockInterruptionException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Writing into a cache folder, by one thread of one process at a time. A half written file found by
 * it is the left-over of a process that was killed.
 */
final class Unpacking {
  /** What is done alone. */
  interface Work {
    void run() throws IOException;
  }

  private static final String UNFINISHED = ".unpacking";
  private static final int DEPTH = 3;
  // One for all class loaders: closing any channel of a file gives up the process's locks on it.
  private static final Object THREADS = "io.heatkv.resource.Unpacking".intern();

  private Unpacking() {}

  /** Waits for other threads and processes, then works. */
  static void alone(Path root, Work work) throws IOException {
    synchronized (THREADS) {
      try (FileChannel channel = open(root)) {
        if (isLocked(channel)) {
          deleteUnfinished(root);
        }
        work.run();
      }
    }
  }

  /** Removes what killed processes left, unless one is at work. */
  static void removeLeftOvers(Path root) {
    try (DirectoryStream<Path> found = Files.newDirectoryStream(root, UNFINISHED + "*")) {
      if (!found.iterator().hasNext()) {
        return;
      }
      synchronized (THREADS) {
        try (FileChannel channel = open(root)) {
          FileLock lock = channel.tryLock();
          if (lock != null) {
            deleteUnfinished(root);
          }
        }
      }
    } catch (IOException _) {
      // They cost room, nothing else.
    }
  }

  private static FileChannel open(Path root) throws IOException {
    return FileChannel.open(
        root.resolve(".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
  }

  /** False where the file system knows no locks. */
  private static boolean isLocked(FileChannel channel) throws IOException {
    try {
      @Nullable FileLock lock = channel.lock();
      return lock != null;
    } catch (FileLockInterruptionException e) {
      throw e;
    } catch (IOException _) {
      return false;
    }
  }

  private static void deleteUnfinished(Path root) throws IOException {
    List<Path> unfinished;
    try (Stream<Path> all = Files.walk(root, DEPTH)) {
      unfinished =
          all.filter(file -> file.getFileName().toString().startsWith(UNFINISHED)).toList();
    }
    for (Path file : unfinished) {
      Files.deleteIfExists(file);
    }
  }

  /** An empty file, to be moved to its place when it is whole. */
  static Path newFile(Path root) throws IOException {
    return Files.createTempFile(root, UNFINISHED, null, CacheFolder.permissions(root, "rw-r--r--"));
  }
}
