package io.heatkv.cli.options;

import io.heatkv.error.UserException;
import io.heatkv.schedule.Allocation;
import io.heatkv.schedule.LevelSet;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Says by which rule a schedule spends its budget. */
public final class AllocationOption {
  /** Names for help and completion. */
  public static final class Names implements Iterable<String> {
    @Override
    public Iterator<String> iterator() {
      return Arrays.stream(Allocation.values()).map(Allocation::toString).iterator();
    }
  }

  @Option(
      names = "--allocation",
      paramLabel = "NAME",
      completionCandidates = Names.class,
      description =
          "How HeatKV spends a budget: ${COMPLETION-CANDIDATES}. Default: rate-distortion; with"
              + " bare head orders, paper.")
  private @Nullable String name;

  @Mixin private final LevelsOption levels = new LevelsOption();

  /**
   * The rule, if one is named.
   *
   * @throws UserException if it is none
   */
  public Optional<Allocation> rule() {
    return Optional.ofNullable(name).map(Allocation::parse);
  }

  /** Whether levels are named. */
  public boolean areLevelsGiven() {
    return levels.isGiven();
  }

  /** See {@link LevelsOption#requireServes}. */
  void requireLevelsServe(List<String> policies) {
    levels.requireServes(policies);
  }

  /**
   * The levels that atoms may have under a rule.
   *
   * @throws UserException if they can't be read, or the rule has no choice
   */
  public LevelSet levels(Allocation rule) {
    if (levels.isGiven() && rule != Allocation.RATE_DISTORTION) {
      throw new UserException(
          "--levels serves allocation rate-distortion only, not %s; leave it out".formatted(rule));
    }
    return levels.levels();
  }

  /**
   * The levels that atoms may have.
   *
   * @throws UserException if they can't be read
   */
  public LevelSet levels() {
    return levels.levels();
  }
}
