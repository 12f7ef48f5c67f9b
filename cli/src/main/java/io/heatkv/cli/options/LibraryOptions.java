package io.heatkv.cli.options;

import io.heatkv.error.UserException;
import io.heatkv.resource.CacheFolder;
import io.heatkv.tensor.libtorch.LibTorchLocation;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Options that say which libtorch computes, and with how many threads. */
public final class LibraryOptions {
  static final int MOST_THREADS = 1024;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Threads on the CPU. Default: one for each core that the process may use.")
  private @Nullable Integer threads;

  @Option(
      names = "--libtorch",
      paramLabel = "DIR",
      description =
          "Folder of libtorch's libraries, such as torch/lib of a PyTorch. Default: the"
              + " environment variable HEATKV_LIBTORCH, else the CPU build that comes along.")
  private @Nullable Path libtorch;

  /**
   * Where libtorch lies.
   *
   * @throws UserException if it isn't there
   */
  public LibTorchLocation location() {
    return LibTorchLocation.find(libtorch, CacheFolder.locate());
  }

  /**
   * Threads asked for, or 0 for the default.
   *
   * @throws UserException if the number is out of range
   */
  public int threads() {
    if (threads == null) {
      return 0;
    }
    if (threads < 1 || threads > MOST_THREADS) {
      throw new UserException(
          "threads " + threads + " is out of range; expected 1 to " + MOST_THREADS);
    }
    return threads;
  }
}
