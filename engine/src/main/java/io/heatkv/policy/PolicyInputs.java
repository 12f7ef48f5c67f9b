package io.heatkv.policy;

import io.heatkv.cache.KvShape;
import io.heatkv.cache.KvStorage;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.schedule.Budget;
import io.heatkv.schedule.LevelSet;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * What a policy may be made from.
 *
 * @param budget of the cache
 * @param shape of the model and the scales; a budget in bytes refers to it
 * @param file that the user named, if any: a profile, or what else a policy reads
 * @param profile reads the calibration of the model and the scales; throws a UserException if there
 *     is none. Only policies that need it call it
 * @param levels that keys and values may be stored at, where the policy has a choice
 * @param storage how kept tokens are stored
 */
public record PolicyInputs(
    Budget budget,
    KvShape shape,
    Optional<Path> file,
    Supplier<CalibrationProfile> profile,
    LevelSet levels,
    KvStorage storage) {
  /** Tokens are stored in 16 bits, atoms at all levels. */
  public PolicyInputs(
      Budget budget, KvShape shape, Optional<Path> file, Supplier<CalibrationProfile> profile) {
    this(budget, shape, file, profile, LevelSet.ALL, KvStorage.HALF);
  }

  /** The budget as a ratio of the full cache; the same for any batch. */
  public double ratio() {
    return storage.ratio(shape, budget);
  }
}
