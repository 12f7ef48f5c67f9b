package io.heatkv.cli.options;

import io.heatkv.cli.console.Console;
import io.heatkv.load.FoundModel;
import io.heatkv.load.ModelSizes;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.libtorch.LibTorch;
import java.io.PrintWriter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Spec;

/** Options that say which model runs where. */
public final class ModelOptions {
  @Spec(Spec.Target.MIXEE)
  private CommandSpec command = CommandSpec.create();

  @Mixin private final ModelName model = new ModelName();
  @Mixin private final DeviceOptions where = new DeviceOptions();

  /**
   * Checks the options and begins to open libtorch; no weights are loaded yet.
   *
   * @throws io.heatkv.error.UserException if one of them names nothing that is there, or several
   *     devices are named
   */
  public ModelChoice choose() {
    return choose(DeviceList.of(where.device()));
  }

  /** As above, for a command that shares its work among devices. */
  public ModelChoice chooseShared() {
    return choose(where.devices());
  }

  private ModelChoice choose(DeviceList devices) {
    LibraryOpening opening = where.startOpening();
    FoundModel found = model.located();
    if (!isQuiet()) {
      PrintWriter err = command.commandLine().getErr();
      found.notes().forEach(note -> err.println("heatkv: " + Console.oneLine(note)));
      err.flush();
    }
    DType dtype = model.dtype(found.description(), devices.first());
    return new ModelChoice(found.description(), devices, dtype, opening);
  }

  private boolean isQuiet() {
    OptionSpec quiet = command.findOption("--quiet");
    return quiet != null && Boolean.TRUE.equals(quiet.getValue());
  }

  /** The device of a command that computes on one, see {@link DeviceOptions#device()}. */
  public Device device() {
    return where.device();
  }

  /** The compute type asked for, or the usual one of a model on the device. */
  public DType dtype(ModelSizes sizes) {
    return model.dtype(sizes, device());
  }

  /** Opens libtorch, see {@link DeviceOptions#open()}. */
  public LibTorch open() {
    return where.open();
  }

  /** Whether the model has random weights of a published size. */
  public boolean isSynthetic() {
    return model.isSynthetic();
  }

  /** The size's name. */
  public String syntheticName() {
    return model.syntheticName();
  }
}
