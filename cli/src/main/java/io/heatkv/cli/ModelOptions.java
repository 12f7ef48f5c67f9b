package io.heatkv.cli;

import io.heatkv.error.UserException;
import io.heatkv.load.ModelSource;
import io.heatkv.resource.CacheFolder;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.LibTorchLocation;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Options that say which model runs where. */
final class ModelOptions {
  @Mixin LibraryOptions library = new LibraryOptions();

  @Option(
      names = "--model",
      paramLabel = "MODEL",
      description = "emoji (built in) or a folder with a model.json. Default: ${DEFAULT-VALUE}.")
  String model = ModelSource.EMBEDDED;

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      description = "cpu, cuda or cuda:N. Default: ${DEFAULT-VALUE}.")
  String device = Device.CPU.toString();

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      description =
          "Compute type of the transformer: fp32, bf16 or fp16. Default: fp32 on the CPU, bf16 on"
              + " CUDA.")
  @Nullable String dtype;

  /**
   * Checks the options; no weights and no libraries are loaded yet.
   *
   * @throws UserException if one of them names nothing that is there
   */
  ModelChoice choose() {
    Device where = Device.parse(device);
    DType type =
        dtype == null ? (where.isCuda() ? DType.BF16 : DType.F32) : DType.parseCompute(dtype);
    LibTorchLocation location = library.location();
    if (where.isCuda() && !location.hasCuda()) {
      throw new UserException(
          "device "
              + where
              + ": libtorch in "
              + location.folder()
              + " has no CUDA; name the folder lib of a CUDA build with --libtorch or "
              + LibTorchLocation.VARIABLE);
    }
    return new ModelChoice(ModelSource.find(model), where, type, location, library.threads());
  }

  /** Options that say which libtorch computes, and with how many threads. */
  static final class LibraryOptions {
    @Option(
        names = "--threads",
        paramLabel = "N",
        description = "Threads on the CPU. Default: as many as libtorch chooses.")
    @Nullable Integer threads;

    @Option(
        names = "--libtorch",
        paramLabel = "DIR",
        description =
            "Folder of libtorch's libraries, such as torch/lib of a PyTorch. Default: the"
                + " environment variable HEATKV_LIBTORCH, else the CPU build that comes along.")
    @Nullable Path libtorch;

    LibTorchLocation location() {
      return LibTorchLocation.find(libtorch, CacheFolder.locate());
    }

    /** Threads asked for, or 0 for the library's own choice. */
    int threads() {
      if (threads == null) {
        return 0;
      }
      if (threads < 1 || threads > 1024) {
        throw new UserException("threads " + threads + " is out of range; expected 1 to 1024");
      }
      return threads;
    }
  }
}
