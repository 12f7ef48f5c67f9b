package io.heatkv.cli.options;

import io.heatkv.schedule.LevelSet;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Says at which resolutions and in how many bits keys and values may be stored. */
public final class LevelsOption {
  @Option(
      names = "--levels",
      paramLabel = "LIST",
      description =
          "How allocation rate-distortion may store keys and values: a list of 16, 8, k8v4 and 4"
              + " bits, and pooled for lower resolutions of them. Default: all.")
  private @Nullable String text;

  /** Whether any are named. */
  public boolean isGiven() {
    return text != null;
  }

  /**
   * The levels named, else all.
   *
   * @throws io.heatkv.error.UserException if they can't be read
   */
  public LevelSet levels() {
    return text == null ? LevelSet.ALL : LevelSet.parse(text);
  }
}
