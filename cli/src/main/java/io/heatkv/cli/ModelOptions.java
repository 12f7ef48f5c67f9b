package io.heatkv.cli;

import io.heatkv.load.ModelSource;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.LibTorchLocation;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Options that say which model runs where. */
final class ModelOptions {
  @Option(
      names = "--model",
      paramLabel = "MODEL",
      description = "emoji (built in) or a folder with a model.json. Default: ${DEFAULT-VALUE}.")
  private String model = ModelSource.EMBEDDED;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      description =
          "Compute type of the transformer: fp32, bf16 or fp16. Default: fp32 on the CPU, bf16 on"
              + " CUDA.")
  private @Nullable String dtype;

  @Mixin private final DeviceOptions where = new DeviceOptions();

  /**
   * Checks the options; no weights and no libraries are loaded yet.
   *
   * @throws io.heatkv.error.UserException if one of them names nothing that is there
   */
  ModelChoice choose() {
    Device device = where.device();
    DType type =
        dtype == null ? (device.isCuda() ? DType.BF16 : DType.F32) : DType.parseCompute(dtype);
    LibTorchLocation location = where.location();
    return new ModelChoice(ModelSource.find(model), device, type, location, where.threads());
  }
}
