package io.heatkv.cli.console;

import io.heatkv.image.Png;
import io.heatkv.image.PngImage;
import io.heatkv.image.PngText;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * Ends a running generation on SIGINT and SIGTERM so that every file is whole or absent.
 *
 * <p>The virtual machine ends right after its shutdown hooks: this one asks the generation to stop,
 * waits for it a moment, lets files that are being written be finished, and lets none begin.
 */
public final class Interruption implements AutoCloseable {
  private static final long PATIENCE_SECONDS = 2;

  private final CountDownLatch ended = new CountDownLatch(1);
  // Files are written under the lock that is shared; who holds the other lets none begin.
  private final ReentrantReadWriteLock writing = new ReentrantReadWriteLock();
  private final Thread hook = new Thread(this::interrupt, "interruption");
  private volatile boolean requested;

  /**
   * From now on.
   *
   * @throws CancellationException if the process is ending already
   */
  public Interruption() {
    atEnd(hook);
  }

  /**
   * Runs a thread when the process is told to end.
   *
   * @throws CancellationException if it is ending already
   */
  public static void atEnd(Thread hook) {
    try {
      Runtime.getRuntime().addShutdownHook(hook);
    } catch (IllegalStateException e) {
      throw (CancellationException) new CancellationException("interrupted").initCause(e);
    }
  }

  /** Whether the process is ending: what fails then, fails because of it. */
  public static boolean isEnding() {
    Thread probe = new Thread(() -> {});
    try {
      Runtime.getRuntime().addShutdownHook(probe);
      return !Runtime.getRuntime().removeShutdownHook(probe);
    } catch (IllegalStateException _) {
      return true;
    }
  }

  private void interrupt() {
    requested = true;
    // Kept until the process ends.
    writing.writeLock().lock();
    try {
      boolean _ = ended.await(PATIENCE_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Whether the user wants to stop. */
  public boolean isRequested() {
    return requested;
  }

  /**
   * Writes a picture unless the process is ending; several threads may write at once.
   *
   * @throws CancellationException if it is
   */
  public void write(Path file, PngImage picture, List<PngText> texts) {
    if (requested || !writing.readLock().tryLock()) {
      throw new CancellationException("interrupted");
    }
    try {
      Png.write(file, picture, texts);
    } finally {
      writing.readLock().unlock();
    }
  }

  /** The generation is over. */
  @Override
  public void close() {
    ended.countDown();
    if (!requested) {
      try {
        Runtime.getRuntime().removeShutdownHook(hook);
      } catch (IllegalStateException _) {
        // The process is ending already.
      }
    }
  }
}
