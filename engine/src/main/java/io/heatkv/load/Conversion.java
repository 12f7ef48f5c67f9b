package io.heatkv.load;

import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/**
 * What an import did.
 *
 * @param written shards written
 * @param kept shards of an earlier run whose checksums hold
 * @param overflowed finite elements that became infinite, by tensor
 * @param calibration what became of the model's calibration profile, if it has one
 */
public record Conversion(
    int written, int kept, Map<String, Long> overflowed, Optional<Calibration> calibration) {
  public Conversion {
    overflowed = Map.copyOf(overflowed);
  }

  /**
   * A profile of the model that was converted.
   *
   * @param file in the new folder, or empty if the profile is of other weights
   * @param text a line to say
   */
  public record Calibration(Optional<Path> file, String text) {}
}
