package io.heatkv.profile;

import io.heatkv.schedule.Agreement;
import io.heatkv.schedule.CalibrationSetup;
import io.heatkv.schedule.LevelShape;
import io.heatkv.schedule.RankCorrelation;
import io.heatkv.schedule.ScheduleShape;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.stream.DoubleStream;
import java.util.stream.Stream;

/**
 * How far two profiles of one model and its grids agree, whatever prompts, guidance and temperature
 * they were drawn with.
 *
 * @param scas ranks of S-CAS
 * @param removalCosts ranks of removal costs; empty if a profile has none
 * @param levelCosts ranks of level costs, likewise
 * @param schedules what the first profile's schedules cost, likewise none
 * @param missing what isn't compared and which profile lacks it, a clause each
 * @param sharedPrompts of the sets that both count, which agree by themselves
 */
public record ProfileComparison(
    RankCorrelation scas,
    Optional<RankCorrelation> removalCosts,
    Optional<RankCorrelation> levelCosts,
    List<Transfer> schedules,
    List<String> missing,
    int sharedPrompts) {
  private static final double[] BUDGETS = {0.1, 0.05, 0.025, 0.0125};
  // A row more or less changes no plan of a ratio.
  private static final int ROWS = 1;

  /**
   * A schedule of allocation rate-distortion, made from the first profile.
   *
   * @param budget ratio of the full cache
   * @param costRatio its cost by the second profile's measure, as a ratio to that of the schedule
   *     made from the second; empty if the budget is infeasible
   */
  public record Transfer(double budget, OptionalDouble costRatio) {}

  /**
   * Compares.
   *
   * @throws io.heatkv.error.UserException if one is unfinished, or they are of other models or
   *     scales
   */
  public static ProfileComparison of(CalibrationProfile one, CalibrationProfile other) {
    one.requireComplete();
    other.requireComplete();
    CalibrationSetup setup = one.setup();
    setup.requireSameAtoms(other.setup(), one.origin(), other.origin());
    LevelShape shape =
        LevelShape.of(
            setup.layers(),
            setup.heads(),
            setup.headDim(),
            ROWS,
            setup.grids(),
            Math.max(setup.sinkScales(), other.setup().sinkScales()));
    ScheduleShape sizes = shape.sizes();
    return new ProfileComparison(
        Agreement.of(one.scores(), other.scores()),
        one.knownRemovalCosts()
            .flatMap(a -> other.knownRemovalCosts().map(b -> Agreement.of(sizes, a, b))),
        one.knownLevelCosts()
            .flatMap(a -> other.knownLevelCosts().map(b -> Agreement.of(sizes, a, b))),
        one.knownLevelCosts()
            .flatMap(a ->
                other
                    .knownLevelCosts()
                    .map(b ->
                        DoubleStream.of(BUDGETS)
                            .mapToObj(budget ->
                                new Transfer(budget, Agreement.costRatio(shape, a, b, budget)))
                            .toList()))
            .orElse(List.of()),
        Stream.of(one, other).flatMap(ProfileComparison::missing).toList(),
        one.promptSets().stream()
            .filter(other.promptSets()::contains)
            .mapToInt(PromptSet::prompts)
            .sum());
  }

  private static Stream<String> missing(CalibrationProfile profile) {
    return Stream.of(
            profile.knownRemovalCosts().isEmpty() ? "removal costs" : "",
            profile.knownLevelCosts().isEmpty() ? "level costs" : "")
        .filter(name -> !name.isEmpty())
        .map(name -> profile.origin() + " has no " + name);
  }
}
