package io.heatkv.cli;

import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.HostTuning;
import io.heatkv.tensor.libtorch.LibTorch;
import io.heatkv.tensor.libtorch.LibTorchLocation;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Supplier;

/**
 * libtorch while it is being opened: the system's loader takes half a second beside other work. The
 * process is ours, so it is tuned for libtorch.
 */
final class LibraryOpening {
  private final CompletableFuture<LibTorch> library;

  private LibraryOpening(CompletableFuture<LibTorch> library) {
    this.library = library;
  }

  /** Begins to open libtorch, see {@link LibTorch#open}. */
  static LibraryOpening start(LibTorchLocation location, int threads) {
    return start(() -> LibTorch.open(location, threads));
  }

  /** Begins to open what options say. */
  static LibraryOpening start(LibraryOptions options) {
    return start(() -> LibTorch.open(options.location(), options.threads()));
  }

  private static LibraryOpening start(Supplier<LibTorch> open) {
    CompletableFuture<LibTorch> library =
        CompletableFuture.supplyAsync(
            () -> {
              HostTuning.apply();
              return open.get();
            },
            Thread.ofPlatform().name("open-libtorch").daemon()::start);
    // A process that ends while its libraries are initialised may crash.
    Runtime.getRuntime().addShutdownHook(new Thread(() -> library.exceptionally(_ -> null).join()));
    return new LibraryOpening(library);
  }

  /**
   * Waits for libtorch.
   *
   * @throws io.heatkv.error.UserException if it can't be opened or lacks the device
   */
  LibTorch await(Device device) {
    try {
      LibTorch opened = library.join();
      opened.require(device);
      return opened;
    } catch (CompletionException e) {
      throw e.getCause() instanceof RuntimeException cause ? cause : e;
    }
  }
}
