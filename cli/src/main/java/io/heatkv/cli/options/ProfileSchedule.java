package io.heatkv.cli.options;

import io.heatkv.load.ModelDescription;
import io.heatkv.load.ModelProfile;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.schedule.Allocation;
import io.heatkv.schedule.Budget;
import io.heatkv.schedule.CacheSchedule;
import io.heatkv.schedule.CalibrationSetup;
import io.heatkv.schedule.LevelShape;
import io.heatkv.tensor.Device;
import org.jspecify.annotations.Nullable;

/** A calibration profile as the options name it, and schedules made from it without a device. */
public final class ProfileSchedule implements AutoCloseable {
  private static final int GUIDED_ROWS = 2;

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
   * The profile; if it is named and no model is, none is looked for.
   *
   * @throws io.heatkv.error.UserException if there is none, or it is of another model than named
   */
  public CalibrationProfile profile() {
    return option.path().isPresent() && !model.isGiven()
        ? ModelProfile.read(option.path().get())
        : ModelProfile.find(found(), option.path());
  }

  /**
   * The schedule of a budget; bytes are those of one picture with guidance.
   *
   * @param allocation how it is spent
   * @throws io.heatkv.error.UserException if the budget is infeasible
   */
  public CacheSchedule schedule(
      CalibrationProfile profile, Budget budget, AllocationOption allocation) {
    CalibrationSetup setup = profile.setup();
    LevelShape shape =
        LevelShape.of(
            setup.layers(),
            setup.heads(),
            headDim(setup, budget),
            GUIDED_ROWS,
            setup.grids(),
            setup.sinkScales());
    Allocation rule = allocation.rule().orElse(Allocation.DEFAULT);
    return rule.schedule(shape, profile, budget, allocation.levels(rule));
  }

  /** Profiles of version 1 don't know it; sizes in bytes need it. */
  private int headDim(CalibrationSetup setup, Budget budget) {
    if (setup.headDim() > 0 || budget instanceof Budget.Ratio) {
      return setup.headDim();
    }
    ModelProfile.find(found(), option.path());
    return found().kvShape(model.dtype(found(), Device.CPU), setup.grids()).headDim();
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
