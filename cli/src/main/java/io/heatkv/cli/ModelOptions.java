package io.heatkv.cli;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.LibTorchLocation;
import picocli.CommandLine.Mixin;

/** Options that say which model runs where. */
final class ModelOptions {
  @Mixin private final ModelName model = new ModelName();
  @Mixin private final DeviceOptions where = new DeviceOptions();

  /**
   * Checks the options; no weights and no libraries are loaded yet.
   *
   * @throws io.heatkv.error.UserException if one of them names nothing that is there
   */
  ModelChoice choose() {
    Device device = where.device();
    DType type = model.dtype(device.isCuda() ? DType.BF16 : DType.F32);
    LibTorchLocation location = where.location();
    return new ModelChoice(model.find(), device, type, location, where.threads());
  }
}
