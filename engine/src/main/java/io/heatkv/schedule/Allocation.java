package io.heatkv.schedule;

import io.heatkv.error.UserException;
import java.util.Arrays;
import java.util.stream.Collectors;

/** How a budget is spent on the atoms of a calibrated model. */
public enum Allocation {
  /**
   * Ours: one list of all steps by which atoms may be stored better, by what each saves for each
   * byte. See {@link RateDistortion} and {@link LevelCosts}.
   */
  RATE_DISTORTION("rate-distortion") {
    @Override
    public LevelPlan schedule(
        LevelShape shape, HeadRanking ranking, double budget, LevelSet levels) {
      return LevelPlan.of(shape, ranking.levelCosts(), levels, budget);
    }

    @Override
    double ratio(LevelShape shape, Budget budget) {
      return budget.ratio(shape.budgetBytes());
    }
  },
  /**
   * Atoms are kept or dropped: one list of all atoms by what their removal costs for each token
   * that it frees; the cache holds the first ones that fit. See {@link PrefixBuilder} and {@link
   * RemovalCosts}.
   */
  GREEDY("greedy") {
    @Override
    public PruningSchedule schedule(
        LevelShape shape, HeadRanking ranking, double budget, LevelSet levels) {
      ScheduleShape sizes = shape.sizes();
      return new PrefixBuilder(sizes, ranking.removalCosts().order(sizes), budget).build();
    }
  },
  /** The reference's: every source scale loses as many heads, those of least S-CAS. */
  PAPER("paper") {
    @Override
    public PruningSchedule schedule(
        LevelShape shape, HeadRanking ranking, double budget, LevelSet levels) {
      return PruningSchedule.of(shape.sizes(), ranking.orders(), budget);
    }
  };

  /** The rule of the plain name heatkv; measurements are in docs/method.md. */
  public static final Allocation DEFAULT = RATE_DISTORTION;

  private final String text;

  Allocation(String text) {
    this.text = text;
  }

  /**
   * Builds the schedule of a budget.
   *
   * @param ranking of the same layers, heads and scales
   * @param budget ratio of the full cache
   * @param levels that atoms may have, which rules that only keep or drop don't read
   * @throws UserException if the budget is infeasible or the ranking lacks what the rule needs
   */
  public abstract CacheSchedule schedule(
      LevelShape shape, HeadRanking ranking, double budget, LevelSet levels);

  /** As above with a budget as users give it. */
  public CacheSchedule schedule(
      LevelShape shape, HeadRanking ranking, Budget budget, LevelSet levels) {
    return schedule(shape, ranking, ratio(shape, budget), levels);
  }

  double ratio(LevelShape shape, Budget budget) {
    return RemovedHeads.ratio(shape.sizes(), budget, shape.budgetBytes());
  }

  /** Name of the cache policy that keeps to this rule: the default one has the plain name. */
  public String policy() {
    return this == DEFAULT ? "heatkv" : "heatkv-" + text;
  }

  /** Names of all rules, for messages. */
  public static String names() {
    return Arrays.stream(values()).map(Allocation::toString).collect(Collectors.joining(", "));
  }

  /**
   * The rule of a name.
   *
   * @throws UserException if there is none
   */
  public static Allocation parse(String name) {
    return Arrays.stream(values())
        .filter(rule -> rule.text.equals(name))
        .findFirst()
        .orElseThrow(() ->
            new UserException(
                "allocation '%s' is unknown; expected one of: %s"
                    .formatted(name.replaceAll("\\p{Cntrl}", "?"), names())));
  }

  @Override
  public String toString() {
    return text;
  }
}
