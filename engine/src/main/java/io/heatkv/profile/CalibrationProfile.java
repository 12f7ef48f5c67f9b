package io.heatkv.profile;

import io.heatkv.error.Remedy;
import io.heatkv.error.UserException;
import io.heatkv.schedule.Allocation;
import io.heatkv.schedule.AttentionStatistics;
import io.heatkv.schedule.CalibrationSetup;
import io.heatkv.schedule.HeadOrders;
import io.heatkv.schedule.HeadRanking;
import io.heatkv.schedule.HeadScores;
import io.heatkv.schedule.LevelCosts;
import io.heatkv.schedule.PromptStatistics;
import io.heatkv.schedule.RemovalCosts;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The result of a calibration, or its state after some of the prompts: a journal to go on from.
 *
 * <p>Kept in one JSON file that describes itself, usually {@code *.heatkv.json}; see {@link
 * ProfileWriter}. Immutable.
 */
public final class CalibrationProfile implements HeadRanking {
  /** How names of profiles usually end. */
  public static final String SUFFIX = ".heatkv.json";

  private final String origin;
  private final CalibrationSetup setup;
  // Sorted; several after a merge.
  private final List<PromptSet> promptSets;
  private final HeadScores scores;
  // Empty if the statistics of a prompt are missing, as in profiles made before there were any.
  private final Optional<AttentionStatistics> statistics;
  // Likewise.
  private final Optional<RemovalCosts> removalCosts;
  // Likewise.
  private final Optional<LevelCosts> levelCosts;

  CalibrationProfile(
      String origin,
      CalibrationSetup setup,
      List<PromptSet> promptSets,
      HeadScores scores,
      Optional<AttentionStatistics> statistics,
      Optional<RemovalCosts> removalCosts,
      Optional<LevelCosts> levelCosts) {
    this.origin = origin;
    this.setup = setup;
    this.promptSets = promptSets.stream().sorted().toList();
    this.scores = scores;
    this.statistics = statistics;
    this.removalCosts = removalCosts;
    this.levelCosts = levelCosts;
  }

  /** A calibration without any prompt done. */
  public static CalibrationProfile start(CalibrationSetup setup, PromptSet prompts) {
    HeadScores none =
        HeadScores.none(setup.layers(), setup.heads(), setup.grids().count(), setup.sinkScales());
    return new CalibrationProfile(
        "this calibration",
        setup,
        List.of(prompts),
        none,
        Optional.of(AttentionStatistics.none(setup.layers(), setup.heads(), setup.grids().count())),
        Optional.of(RemovalCosts.none(setup)),
        Optional.of(LevelCosts.none(setup)));
  }

  /**
   * Goes on from a file, or starts if there is none yet.
   *
   * @throws UserException if the file is of another model, setting or set of prompts
   */
  public static CalibrationProfile resume(Path file, CalibrationSetup setup, PromptSet prompts) {
    CalibrationProfile fresh = start(setup, prompts);
    if (!Files.exists(file)) {
      return fresh;
    }
    CalibrationProfile profile = read(file);
    profile.setup.requireSame(setup, profile.origin, fresh.origin);
    if (!profile.promptSets.equals(fresh.promptSets)) {
      throw new UserException(
          profile.origin
              + " is of other prompts (SHA-256 "
              + profile.promptsSha256()
              + ", not "
              + fresh.promptsSha256()
              + "); name another file or give the same prompts and seed");
    }
    return profile;
  }

  /**
   * Reads and checks a file.
   *
   * @throws UserException if it is no sound profile
   */
  public static CalibrationProfile read(Path file) {
    return ProfileReader.read(file);
  }

  /**
   * Adds up calibrations of other prompts; the result doesn't depend on their order.
   *
   * @throws UserException if one is unfinished, made with another model or settings, or two are of
   *     the same prompts
   */
  public static CalibrationProfile merge(List<CalibrationProfile> profiles) {
    if (profiles.isEmpty()) {
      throw new UserException("no profile to merge; expected at least one");
    }
    CalibrationProfile first = profiles.getFirst();
    HeadScores scores = first.scores;
    Optional<AttentionStatistics> statistics = first.statistics;
    Optional<RemovalCosts> costs = first.removalCosts;
    Optional<LevelCosts> levels = first.levelCosts;
    Map<String, String> origins = new HashMap<>();
    List<PromptSet> sets = new ArrayList<>();
    for (CalibrationProfile profile : profiles) {
      profile.requireComplete();
      profile.setup.requireSame(first.setup, profile.origin, first.origin);
      for (PromptSet set : profile.promptSets) {
        String other = origins.putIfAbsent(set.sha256(), profile.origin);
        if (other != null) {
          throw countedTwice(set, other, profile.origin);
        }
      }
      sets.addAll(profile.promptSets);
      if (profile != first) {
        scores = scores.plus(profile.scores);
        statistics = statistics.flatMap(sum -> profile.statistics.map(sum::plus));
        costs = costs.flatMap(sum -> profile.removalCosts.map(sum::plus));
        levels = levels.flatMap(sum -> profile.levelCosts.map(sum::plus));
      }
    }
    CalibrationSetup setup =
        profiles.stream()
            .map(CalibrationProfile::setup)
            .min(
                Comparator.comparing(CalibrationSetup::model)
                    .thenComparing(CalibrationSetup::headDim, Comparator.reverseOrder()))
            .orElseThrow();
    return new CalibrationProfile(
        "the merged profile", setup, sets, scores, statistics, costs, levels);
  }

  void requireComplete() {
    if (!isComplete()) {
      throw new UserException(
          origin
              + " has done "
              + scores.prompts()
              + " of "
              + prompts()
              + " prompts; finish that calibration first");
    }
  }

  private static UserException countedTwice(PromptSet set, String one, String other) {
    return new UserException(
        one
            + " and "
            + other
            + " both count the prompts of SHA-256 "
            + set.sha256()
            + "; leave one out");
  }

  /**
   * The same calibration for weights that were converted: rounding them changes how they are told
   * apart, and no score by more than the rounding.
   *
   * @param fingerprint of the converted weights
   */
  public CalibrationProfile rebound(String fingerprint) {
    return new CalibrationProfile(
        origin,
        setup.fingerprinted(fingerprint),
        promptSets,
        scores,
        statistics,
        removalCosts,
        levelCosts);
  }

  /**
   * Adds one prompt of which no statistics are known; the profile then has none.
   *
   * @param masses [target][source][layer][head], see {@link HeadScores#plus(double[][][][])}
   * @throws IllegalStateException if all prompts are done
   */
  public CalibrationProfile plus(double[][][][] masses) {
    return add(masses, Optional.empty(), Optional.empty(), Optional.empty());
  }

  /** As above with statistics; the profile then has no costs. */
  public CalibrationProfile plus(double[][][][] masses, PromptStatistics added) {
    return add(masses, statistics.map(sum -> sum.plus(added)), Optional.empty(), Optional.empty());
  }

  /**
   * Adds one prompt; without statistics, the profile then has none.
   *
   * @throws IllegalStateException if all prompts are done
   */
  public CalibrationProfile plus(PromptMeasurement measured) {
    return add(
        measured.masses(),
        statistics.flatMap(sum -> measured.statistics().map(sum::plus)),
        removalCosts.map(sum -> sum.plus(measured.removal())),
        levelCosts.map(sum -> sum.plus(measured.levels())));
  }

  private CalibrationProfile add(
      double[][][][] masses,
      Optional<AttentionStatistics> newStatistics,
      Optional<RemovalCosts> newCosts,
      Optional<LevelCosts> newLevels) {
    if (isComplete()) {
      throw new IllegalStateException("all prompts are done");
    }
    return new CalibrationProfile(
        origin, setup, promptSets, scores.plus(masses), newStatistics, newCosts, newLevels);
  }

  /**
   * Writes the file, at first beside it.
   *
   * @throws UserException if it can't be written
   */
  public void write(Path file) {
    ProfileWriter.write(file, this);
  }

  String origin() {
    return origin;
  }

  public CalibrationSetup setup() {
    return setup;
  }

  /** The sets of prompts that went in, sorted by hash. */
  public List<PromptSet> promptSets() {
    return promptSets;
  }

  /** Number of prompts of all sets. */
  public int prompts() {
    return promptSets.stream().mapToInt(PromptSet::prompts).sum();
  }

  /** Prompts done so far. */
  public int promptsDone() {
    return scores.prompts();
  }

  public boolean isComplete() {
    return promptsDone() == prompts();
  }

  /** One hash for all sets of prompts, 64 hexadecimal digits. */
  public String promptsSha256() {
    return PromptSet.combinedSha256(promptSets);
  }

  /** Sums and scores of the prompts done. */
  public HeadScores scores() {
    return scores;
  }

  /**
   * What peers of HeatKV are calibrated by.
   *
   * @throws UserException if the profile has none
   */
  public AttentionStatistics statistics() {
    return statistics.orElseThrow(() ->
        new UserException(
            origin
                + " has no attention statistics, which this policy needs; calibrate again, or"
                + " choose another policy",
            Remedy.CALIBRATION));
  }

  Optional<AttentionStatistics> knownStatistics() {
    return statistics;
  }

  /**
   * What it costs to remove each atom.
   *
   * @throws UserException if the profile doesn't say
   */
  @Override
  public RemovalCosts removalCosts() {
    return removalCosts.orElseThrow(() ->
        new UserException(
            origin
                + " has no removal costs, which allocation greedy needs; calibrate again, or choose"
                + " allocation paper (policy heatkv-paper)",
            Remedy.CALIBRATION));
  }

  Optional<RemovalCosts> knownRemovalCosts() {
    return removalCosts;
  }

  /**
   * What each level of each atom costs.
   *
   * @throws UserException if the profile doesn't say
   */
  @Override
  public LevelCosts levelCosts() {
    return levelCosts.orElseThrow(() ->
        new UserException(
            origin
                + " has no level costs, which allocation rate-distortion needs; calibrate again, or"
                + " choose allocation greedy or paper (policy %s or %s)"
                    .formatted(Allocation.GREEDY.policy(), Allocation.PAPER.policy()),
            Remedy.CALIBRATION));
  }

  Optional<LevelCosts> knownLevelCosts() {
    return levelCosts;
  }

  /**
   * Head orders of the scores.
   *
   * @throws UserException if no prompt is done
   */
  @Override
  public HeadOrders orders() {
    return scores.orders();
  }
}
