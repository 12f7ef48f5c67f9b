package io.heatkv.cli.options;

import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Says which calibration a schedule is made from. */
public final class ProfileOption {
  @Option(
      names = "--profile",
      paramLabel = "FILE",
      description =
          "Calibration profile of this model and these scales, as heatkv calibrate writes it."
              + " Default: the model's own.")
  private @Nullable Path file;

  /** The file, if one is named. */
  public Optional<Path> path() {
    return Optional.ofNullable(file);
  }
}
