package io.heatkv.cli.options;

import io.heatkv.error.UserException;
import io.heatkv.schedule.Allocation;
import io.heatkv.schedule.LevelSet;
import java.util.List;
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
   * Checks that one of the policies reads the levels, if any are named.
   *
   * @throws UserException if none does
   */
  void requireServes(List<String> policies) {
    String served = Allocation.RATE_DISTORTION.policy();
    if (isGiven() && !policies.contains(served)) {
      throw new UserException(
          "--levels serves policy %s only, not %s; leave it out"
              .formatted(served, String.join(", ", policies)));
    }
  }

  /**
   * The levels named, else all.
   *
   * @throws UserException if they can't be read
   */
  public LevelSet levels() {
    return text == null ? LevelSet.ALL : LevelSet.parse(text);
  }
}
