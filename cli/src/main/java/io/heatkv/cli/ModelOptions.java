package io.heatkv.cli;

import io.heatkv.load.FoundModel;
import io.heatkv.load.ModelSource;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.LibTorchLocation;
import java.io.PrintWriter;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Options that say which model runs where. */
final class ModelOptions {
  @Option(
      names = "--model",
      paramLabel = "MODEL",
      description =
          "emoji (built in), a folder with a model's files as published or imported, or the file of"
              + " a transformer. Default: ${DEFAULT-VALUE}.")
  private String model = ModelSource.EMBEDDED;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      description =
          "Compute type of the transformer: fp32, bf16 or fp16. Default: fp32 on the CPU, bf16 on"
              + " CUDA.")
  private @Nullable String dtype;

  @Spec(Spec.Target.MIXEE)
  private CommandSpec command = CommandSpec.create();

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
    FoundModel found = ModelSource.locate(model);
    if (!isQuiet()) {
      PrintWriter err = command.commandLine().getErr();
      found.notes().forEach(note -> err.println("heatkv: " + Console.oneLine(note)));
      err.flush();
    }
    return new ModelChoice(found.description(), device, type, location, where.threads());
  }

  private boolean isQuiet() {
    OptionSpec quiet = command.findOption("--quiet");
    return quiet != null && Boolean.TRUE.equals(quiet.getValue());
  }
}
