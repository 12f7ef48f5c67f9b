package io.heatkv.eval.run;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.cache.KvStorage;
import io.heatkv.error.UserException;
import io.heatkv.policy.CachePolicies;
import io.heatkv.policy.PolicyInputs;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.schedule.Budget;
import io.heatkv.schedule.LevelSet;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Which policies can be drawn under which budgets.
 *
 * @param cells policies under budgets, policy by policy
 * @param absent a line for each pair that can't be, such as a budget below the policy's floor
 */
public record Cells(List<Cell> cells, List<String> absent) {
  private static final Budget ALL = new Budget.Ratio(1);

  public Cells {
    cells = List.copyOf(cells);
    absent = List.copyOf(absent);
  }

  /** All policies but the full cache, which everything is compared with. */
  public static List<String> allPolicies() {
    return CachePolicies.names().stream()
        .filter(name -> !name.equals(CachePolicy.FULL.name()))
        .toList();
  }

  /**
   * Makes the policies.
   *
   * @param names of policies; the full cache is drawn anyway and left out
   * @param budgets ratios or sizes for one picture with guidance
   * @param shape of one picture with guidance
   * @param file that the user named for policies that need one
   * @param profile see {@link PolicyInputs}; called once at most
   * @param levels see {@link PolicyInputs}
   * @param storage how kept tokens are stored
   * @throws UserException if there is no such policy or budget, a policy can't be made at all, or
   *     every budget is below its policy's floor
   */
  public static Cells of(
      List<String> names,
      List<String> budgets,
      KvShape shape,
      Optional<Path> file,
      Supplier<CalibrationProfile> profile,
      LevelSet levels,
      KvStorage storage) {
    List<String> policies =
        new LinkedHashSet<>(names)
            .stream().filter(name -> !name.equals(CachePolicy.FULL.name())).toList();
    if (policies.isEmpty() || budgets.isEmpty()) {
      throw new UserException(
          "there is nothing to compare with the full cache; name at least one policy and budget");
    }
    Map<Double, String> texts = distinct(budgets, shape, storage);
    Supplier<CalibrationProfile> once = new Once(profile);
    List<Cell> cells = new ArrayList<>();
    List<String> absent = new ArrayList<>();
    @Nullable UserException first = null;
    for (String name : policies) {
      Optional<CachePolicy> whole = CachePolicies.whole(name);
      if (whole.isPresent()) {
        cells.add(new Cell(name, "1.0", 1, whole.get()));
        continue;
      }
      // What fails with all of the cache fails for another reason than its budget.
      CachePolicies.create(name, new PolicyInputs(ALL, shape, file, once, levels, storage));
      for (String budget : texts.values()) {
        PolicyInputs inputs =
            new PolicyInputs(Budget.parse(budget), shape, file, once, levels, storage);
        try {
          CachePolicy policy = CachePolicies.create(name, inputs);
          cells.add(new Cell(name, budget, inputs.ratio(), policy));
        } catch (UserException e) {
          absent.add(name + " at " + budget + ": " + e.getMessage());
          first = first == null ? e : first;
        }
      }
    }
    if (cells.isEmpty() && first != null) {
      throw first;
    }
    return new Cells(cells, absent);
  }

  /**
   * One of each size, by its ratio of the full cache: 10% is 0.1 is 0.10. In the order given.
   *
   * @param shape of one picture with guidance
   * @param storage how kept tokens are stored
   * @throws UserException if one is no budget
   */
  public static Map<Double, String> distinct(
      List<String> budgets, KvShape shape, KvStorage storage) {
    Map<Double, String> texts = new LinkedHashMap<>();
    for (String budget : budgets) {
      texts.putIfAbsent(storage.ratio(shape, Budget.parse(budget)), budget.strip());
    }
    return texts;
  }

  /** Reads a profile when it is asked for, and keeps it. */
  private static final class Once implements Supplier<CalibrationProfile> {
    private final Supplier<CalibrationProfile> reader;
    private @Nullable CalibrationProfile profile;

    Once(Supplier<CalibrationProfile> reader) {
      this.reader = reader;
    }

    @Override
    public CalibrationProfile get() {
      CalibrationProfile known = profile;
      if (known == null) {
        known = reader.get();
        profile = known;
      }
      return known;
    }
  }
}
