package io.heatkv.cli.options;

import io.heatkv.cache.CachePolicy;
import io.heatkv.error.UserException;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.Budget;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Options that say what the cache of keys and values remembers. */
public final class CacheOptions {
  @Option(
      names = "--kv-budget",
      paramLabel = "BUDGET",
      description =
          "Memory of the KV cache: a ratio of the full cache such as 0.1 or 10%%, or a size such"
              + " as 4MiB for one picture with guidance. Default: the full cache.")
  private @Nullable String budget;

  @Mixin private final PolicyOptions policies = new PolicyOptions();

  /** Whether it is less than the full cache. */
  public boolean isLimited() {
    return budget != null;
  }

  /**
   * The policy asked for.
   *
   * @param grids grids of the scales that are to be drawn
   * @throws UserException if the budget can't be read or is infeasible, or the profile doesn't fit
   */
  public CachePolicy policy(ModelChoice choice, ScaleGrids grids) {
    if (budget == null) {
      return policies.unlimited();
    }
    if (policies.names().size() > 1) {
      throw new UserException(
          "pictures are drawn by one policy, not by "
              + String.join(", ", policies.names())
              + "; heatkv compare takes several");
    }
    return policies.policy(policies.names().getFirst(), choice, grids, Budget.parse(budget));
  }
}
