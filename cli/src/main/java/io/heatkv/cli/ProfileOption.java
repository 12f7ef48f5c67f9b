package io.heatkv.cli;

import io.heatkv.cache.HeatKvPolicy;
import io.heatkv.load.ModelProfile;
import io.heatkv.scale.ScaleSchedule;
import io.heatkv.schedule.Budget;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Says which calibration a schedule is made from. */
final class ProfileOption {
  @Option(
      names = "--profile",
      paramLabel = "FILE",
      description =
          "Calibration profile of this model and these scales, as heatkv calibrate writes it."
              + " Default: the model's own.")
  private @Nullable Path file;

  /** The file, if one is named. */
  Optional<Path> path() {
    return Optional.ofNullable(file);
  }

  /**
   * The policy of a budget; bytes refer to one picture with guidance.
   *
   * @throws io.heatkv.error.UserException if the profile is of another model or other scales, or
   *     the budget is infeasible
   */
  HeatKvPolicy policy(ModelChoice choice, ScaleSchedule schedule, Budget budget) {
    return HeatKvPolicy.of(
        ModelProfile.find(choice.description(), schedule, path()),
        budget,
        choice.description().kvShape(choice.dtype(), schedule));
  }
}
