package io.heatkv.cli.options;

import io.heatkv.cli.console.Interruption;
import io.heatkv.resource.CacheFolder;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.libtorch.CudaContexts;
import io.heatkv.tensor.libtorch.HostTuning;
import io.heatkv.tensor.libtorch.LibTorch;
import io.heatkv.tensor.libtorch.LibTorchLocation;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Supplier;

/**
 * libtorch while it is being opened: the system's loader takes half a second beside other work. The
 * process is ours, so it is tuned for libtorch.
 */
public final class LibraryOpening {
  private final CompletableFuture<LibTorch> library;

  private LibraryOpening(CompletableFuture<LibTorch> library) {
    this.library = library;
  }

  /** For a command that only plans: nothing is opened, and nobody waits. */
  public static LibraryOpening none() {
    return new LibraryOpening(new CompletableFuture<>());
  }

  /**
   * Begins to open libtorch, see {@link LibTorch#open}, and CUDA devices.
   *
   * @param devices that the command will use
   */
  public static LibraryOpening start(LibTorchLocation location, int threads, List<Device> devices) {
    return start(() -> LibTorch.open(location, threads), devices);
  }

  /** As above, where the location is yet to be found. */
  static LibraryOpening start(Optional<Path> libtorch, int threads, DeviceList devices) {
    return start(
        () -> {
          Path folder = libtorch.orElse(null);
          return LibTorch.open(LibTorchLocation.find(folder, CacheFolder.locate()), threads);
        },
        devices.named());
  }

  private static LibraryOpening start(Supplier<LibTorch> open, List<Device> devices) {
    CompletableFuture<LibTorch> library = new CompletableFuture<>();
    Thread contexts = thread("open-contexts", () -> CudaContexts.open(devices));
    Thread thread =
        thread(
            "open-libtorch",
            () -> {
              try {
                HostTuning.apply();
                contexts.start();
                LibTorch opened = open.get();
                HostTuning.endEarly();
                devices.stream()
                    .filter(Device::isCuda)
                    .forEach(device -> openDevice(opened, device));
                library.complete(opened);
              } catch (RuntimeException | Error e) {
                library.completeExceptionally(e);
              }
            });
    thread.start();
    return new LibraryOpening(library);
  }

  private static Thread thread(String name, Runnable task) {
    Thread thread = Thread.ofPlatform().name(name).daemon().unstarted(task);
    Interruption.atEnd(new Thread(() -> end(thread)));
    return thread;
  }

  /** The driver's context and cuBLASLt take some tenths of a second. */
  private static void openDevice(LibTorch library, Device device) {
    library.require(device);
    DeviceOps _ = library.ops(device);
  }

  /** Stops unpacking. A process that ends while its libraries are initialised may crash: waits. */
  private static void end(Thread opening) {
    opening.interrupt();
    try {
      opening.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /**
   * Waits for libtorch.
   *
   * @throws io.heatkv.error.UserException if it can't be opened or lacks one of the devices
   */
  public LibTorch await(List<Device> devices) {
    try {
      LibTorch opened = library.join();
      devices.forEach(opened::require);
      return opened;
    } catch (CompletionException e) {
      switch (e.getCause()) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        case null, default -> throw e;
      }
    }
  }
}
