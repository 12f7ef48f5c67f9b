package io.heatkv.cli.options;

import io.heatkv.error.UserException;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.LibTorch;
import io.heatkv.tensor.libtorch.LibTorchLocation;
import java.util.List;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Options that say on which device which libtorch computes. */
public final class DeviceOptions {
  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      description =
          "cpu, cuda:N, several such as cuda:0,cuda:1, or cuda for all; generate, evaluate, calibrate"
              + " and serve share the work among them. Default: ${DEFAULT-VALUE}.")
  private String device = Device.CPU.toString();

  @Mixin private final LibraryOptions library = new LibraryOptions();

  /**
   * The devices.
   *
   * @throws UserException if there is none of that name
   */
  public DeviceList devices() {
    return DeviceList.parse(device);
  }

  /**
   * The device of a command that computes on one; of all, the first.
   *
   * @throws UserException if there is none of that name, or several are named
   */
  public Device device() {
    return devices().only();
  }

  /** See {@link LibraryOptions#threads()}. */
  public int threads() {
    return library.threads();
  }

  /**
   * Where libtorch lies.
   *
   * @throws UserException if it isn't there or is a CPU build where CUDA is asked for
   */
  public LibTorchLocation location() {
    LibTorchLocation location = library.location();
    if (devices().first().isCuda() && !location.hasCuda()) {
      throw new UserException(
          "device "
              + device
              + ": libtorch in "
              + location.folder()
              + " has no CUDA; name the folder lib of a CUDA build with --libtorch or "
              + LibTorchLocation.VARIABLE);
    }
    return location;
  }

  /**
   * Opens libtorch.
   *
   * @throws UserException if it can't be opened or lacks the device
   */
  public LibTorch open() {
    return startOpening().await(List.of(device()));
  }

  /** Begins to open libtorch, see {@link #location()}. */
  public LibraryOpening startOpening() {
    return LibraryOpening.start(location(), threads(), devices().named());
  }
}
