package io.heatkv.load;

import io.heatkv.profile.CalibrationProfile;
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
  public record Calibration(Optional<Path> file, String text) {
    /**
     * Carries a profile over to converted weights, if it is of those that were converted.
     *
     * @param source fingerprint of what was converted
     * @param converted fingerprint of what became of it
     * @param folder of the converted model
     */
    public static Calibration carry(Path file, String source, String converted, Path folder) {
      CalibrationProfile profile = CalibrationProfile.read(file);
      if (!profile.setup().fingerprint().equals(source)) {
        return new Calibration(
            Optional.empty(),
            "calibration profile %s is of other weights and was left behind; calibrate again"
                .formatted(file));
      }
      Path target = folder.resolve(file.getFileName());
      profile.rebound(converted).write(target);
      return new Calibration(
          Optional.of(target.getFileName()),
          "calibration profile %s goes along (%d prompts, measured before the conversion)"
              .formatted(target, profile.promptsDone()));
    }
  }
}
