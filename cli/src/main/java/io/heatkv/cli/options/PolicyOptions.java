package io.heatkv.cli.options;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.cache.KvStorage;
import io.heatkv.error.UserException;
import io.heatkv.eval.run.Cell;
import io.heatkv.eval.run.Cells;
import io.heatkv.load.ModelProfile;
import io.heatkv.policy.CachePolicies;
import io.heatkv.policy.PolicyInputs;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.Allocation;
import io.heatkv.schedule.Budget;
import io.heatkv.schedule.LevelSet;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiFunction;
import java.util.function.Supplier;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Says by which policies the cache is kept small. */
public final class PolicyOptions {
  private static final String DEFAULT = Allocation.DEFAULT.policy();

  /** Names for help and completion. */
  public static final class Names implements Iterable<String> {
    @Override
    public Iterator<String> iterator() {
      return CachePolicies.names().iterator();
    }
  }

  @Option(
      names = "--policy",
      split = ",",
      paramLabel = "NAME",
      completionCandidates = Names.class,
      description =
          "What decides which keys and values stay: ${COMPLETION-CANDIDATES}. Default: heatkv.")
  private List<String> names = List.of();

  @Mixin private final AllocationOption allocation = new AllocationOption();
  @Mixin private final ProfileOption profile = new ProfileOption();
  @Mixin private final StoreOption store = new StoreOption();

  /**
   * The names given, each once, else the default; heatkv with the allocation that was asked for.
   *
   * @throws UserException if an allocation, levels or a store are named but no policy that has them
   */
  public List<String> names() {
    List<String> all = chosen();
    allocation.requireLevelsServe(all);
    store.requireServes(all);
    return all;
  }

  /**
   * The first of the names, where requests may name others, which read levels and stores.
   *
   * @throws UserException if an allocation is named but not the policy that has it
   */
  public String usual() {
    return chosen().getFirst();
  }

  /** Whether one of the options is given. */
  public boolean areGiven() {
    return !names.isEmpty()
        || allocation.rule().isPresent()
        || allocation.areLevelsGiven()
        || profile.path().isPresent()
        || store.isGiven();
  }

  private List<String> chosen() {
    List<String> given = names.isEmpty() ? List.of(DEFAULT) : names;
    if (allocation.rule().isPresent() && !given.contains(DEFAULT)) {
      throw new UserException(
          "--allocation serves policy heatkv only, not %s; leave it out"
              .formatted(String.join(", ", given)));
    }
    String chosen = allocation.rule().orElse(Allocation.DEFAULT).policy();
    return given.stream().map(name -> name.equals(DEFAULT) ? chosen : name).distinct().toList();
  }

  /**
   * The policy without a budget: the full cache.
   *
   * @throws UserException if another policy is named, or what only a budget reads
   */
  public CachePolicy unlimited() {
    Optional<CachePolicy> whole =
        CachePolicies.whole(names.isEmpty() ? CachePolicy.FULL.name() : names.getFirst());
    if (whole.isEmpty() || names.size() > 1) {
      throw new UserException(
          "--policy "
              + String.join(",", names)
              + " needs a KV budget; add --kv-budget such as 0.1");
    }
    requireBudget("--allocation", allocation.rule().isPresent());
    requireBudget("--levels", allocation.areLevelsGiven());
    requireBudget("--profile", profile.path().isPresent());
    requireBudget("--kv-store", store.isGiven());
    return whole.get();
  }

  private static void requireBudget(String option, boolean isGiven) {
    if (isGiven) {
      throw new UserException(
          option + " serves a KV budget only; add --kv-budget such as 0.1, or leave it out");
    }
  }

  /**
   * How kept tokens are stored.
   *
   * @throws UserException if it is unknown
   */
  public KvStorage storage() {
    return store.storage();
  }

  /** The levels that atoms may have. */
  public LevelSet levels() {
    return allocation.levels();
  }

  /** The profile's file, if one is named. */
  public Optional<Path> profile() {
    return profile.path();
  }

  /**
   * All policies under all budgets, each once, as {@link #policy} makes them.
   *
   * @param grids grids of the scales that are to be drawn
   */
  public List<Cell> cells(List<String> budgets, ModelChoice choice, ScaleGrids grids) {
    return cells(
        budgets,
        choice.description().kvShape(choice.dtype(), grids),
        (name, budget) -> policy(name, choice, grids, budget));
  }

  /**
   * All policies under all budgets, policy by policy, each once; the full cache has no budget but
   * its own.
   *
   * @param shape of one picture with guidance
   * @param maker of a policy by its name and budget
   * @throws UserException if one of them is none
   */
  public List<Cell> cells(
      List<String> budgets, KvShape shape, BiFunction<String, Budget, CachePolicy> maker) {
    Map<Double, String> distinct = Cells.distinct(budgets, shape, storage());
    List<Cell> cells = new ArrayList<>();
    for (String name : names()) {
      Optional<CachePolicy> whole = CachePolicies.whole(name);
      if (whole.isPresent()) {
        cells.add(new Cell(name, "1.0", 1, whole.get()));
      } else {
        distinct.forEach((ratio, text) ->
            cells.add(new Cell(name, text, ratio, maker.apply(name, Budget.parse(text)))));
      }
    }
    return cells;
  }

  /**
   * A policy under a budget; bytes refer to one picture with guidance.
   *
   * @param grids grids of the scales that are to be drawn
   * @throws UserException if there is no such policy, it needs a profile and there is none that
   *     fits, or the budget is infeasible
   */
  public CachePolicy policy(String name, ModelChoice choice, ScaleGrids grids, Budget budget) {
    return policy(
        name,
        choice.description().kvShape(choice.dtype(), grids),
        budget,
        () -> ModelProfile.find(choice.description(), grids, profile.path()));
  }

  /**
   * As above.
   *
   * @param shape of one picture with guidance
   * @param calibration see {@link PolicyInputs}
   */
  public CachePolicy policy(
      String name, KvShape shape, Budget budget, Supplier<CalibrationProfile> calibration) {
    return CachePolicies.create(
        name,
        new PolicyInputs(
            budget, shape, profile.path(), calibration, allocation.levels(), storage()));
  }
}
