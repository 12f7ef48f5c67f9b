package io.heatkv.cli.options;

import io.heatkv.load.ModelDescription;
import io.heatkv.load.ModelProfile;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.schedule.Allocation;
import io.heatkv.schedule.Budget;
import io.heatkv.schedule.CalibrationSetup;
import io.heatkv.schedule.PruningSchedule;
import io.heatkv.schedule.ScheduleShape;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** A calibration profile as the options name it, and schedules made from it without a device. */
public final class ProfileSchedule implements AutoCloseable {
  private final ProfileOption option;
  private final ModelName model;
  private @Nullable ModelDescription found;

  public ProfileSchedule(ProfileOption option, ModelName model) {
    this.option = option;
    this.model = model;
  }

  private ModelDescription found() {
    ModelDescription once = found == null ? model.find() : found;
    found = once;
    return once;
  }

  /**
   * The profile; if the model isn't needed to read it, none is looked for.
   *
   * @param budget that it is needed for, if any
   * @throws io.heatkv.error.UserException if there is none, or it is of another model than named
   */
  public CalibrationProfile profile(Optional<Budget> budget) {
    boolean alone = option.path().isPresent() && !model.isGiven();
    return alone && !budget.filter(Budget.Bytes.class::isInstance).isPresent()
        ? ModelProfile.read(option.path().get())
        : ModelProfile.find(found(), option.path());
  }

  /**
   * The schedule of a budget; bytes are those of one picture with guidance.
   *
   * @param rule how it is spent
   * @throws io.heatkv.error.UserException if the budget is infeasible
   */
  public PruningSchedule schedule(CalibrationProfile profile, Budget budget, Allocation rule) {
    CalibrationSetup setup = profile.setup();
    ScheduleShape shape =
        ScheduleShape.of(setup.layers(), setup.heads(), setup.schedule(), setup.sinkScales());
    return switch (budget) {
      case Budget.Ratio(double ratio) -> rule.schedule(shape, profile, ratio);
      case Budget.Bytes bytes -> {
        DType dtype = model.dtype(found(), Device.CPU);
        yield rule.schedule(
            shape, profile, bytes, found().kvShape(dtype, setup.schedule()).fullBytes());
      }
    };
  }

  /** What the profile is called: its file, or that it is the model's own. */
  public String name() {
    return option
        .path()
        .map(path -> String.valueOf(path.getFileName()))
        .orElse("that comes with the model");
  }

  /** Closes the model's files. */
  @Override
  public void close() {
    if (found != null) {
      found.close();
    }
  }
}
