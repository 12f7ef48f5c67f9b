package io.heatkv.schedule;

import io.heatkv.error.UserException;
import java.util.Arrays;
import java.util.stream.Collectors;

/** How a budget is spent on the atoms of a calibrated model. */
public enum Allocation {
  /**
   * Ours: one list of all atoms by what their removal costs for each token that it frees; the cache
   * holds the first ones that fit. See {@link PrefixBuilder} and {@link RemovalCosts}.
   */
  GREEDY("greedy") {
    @Override
    public PruningSchedule schedule(ScheduleShape shape, HeadRanking ranking, double budget) {
      return new PrefixBuilder(shape, ranking.removalCosts().order(shape), budget).build();
    }
  },
  /** The reference's: every source scale loses as many heads, those of least S-CAS. */
  PAPER("paper") {
    @Override
    public PruningSchedule schedule(ScheduleShape shape, HeadRanking ranking, double budget) {
      return PruningSchedule.of(shape, ranking.orders(), budget);
    }
  };

  /** The rule of the plain name heatkv; measurements are in docs/method.md. */
  public static final Allocation DEFAULT = GREEDY;

  private final String text;

  Allocation(String text) {
    this.text = text;
  }

  /**
   * Builds the schedule of a budget.
   *
   * @param ranking of the same layers, heads and scales
   * @param budget ratio of the full cache
   * @throws UserException if the budget is infeasible or it lacks what the rule needs
   */
  public abstract PruningSchedule schedule(ScheduleShape shape, HeadRanking ranking, double budget);

  /** As above with a budget as users give it, see {@link RemovedHeads#ratio}. */
  public PruningSchedule schedule(
      ScheduleShape shape, HeadRanking ranking, Budget budget, long fullBytes) {
    return schedule(shape, ranking, RemovedHeads.ratio(shape, budget, fullBytes));
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
