package io.heatkv;

import io.heatkv.cache.CachePolicy;
import io.heatkv.error.UserException;
import io.heatkv.policy.CachePolicies;
import io.heatkv.schedule.Allocation;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * What a request says besides its prompts, in the words of configuration files and frameworks.
 *
 * @param size such as {@code 256x256}, of which the nearest is taken that the model draws; {@code
 *     auto} for its own
 * @param seed of the first picture; if there is none, one by chance
 * @param policy name of a cache policy; if there is none, the full cache, or with a budget heatkv
 * @param budget of that policy, a ratio such as {@code 10%} or a size such as {@code 4MiB}
 */
public record PictureOptions(
    String size, OptionalLong seed, Optional<String> policy, Optional<String> budget) {
  /** The model's own size with the full cache, another picture each time. */
  public static final PictureOptions DEFAULT =
      new PictureOptions("auto", OptionalLong.empty(), Optional.empty(), Optional.empty());

  private static final String WHOLE = "1";

  /** The same for another size. */
  public PictureOptions withSize(String other) {
    return new PictureOptions(other, seed, policy, budget);
  }

  /** The same with a seed. */
  public PictureOptions withSeed(long other) {
    return new PictureOptions(size, OptionalLong.of(other), policy, budget);
  }

  /** The same with another policy. */
  public PictureOptions withPolicy(String other) {
    return new PictureOptions(size, seed, Optional.of(other), budget);
  }

  /** The same with another budget. */
  public PictureOptions withBudget(String other) {
    return new PictureOptions(size, seed, policy, Optional.of(other));
  }

  /** The policy that is meant. */
  public String policyName() {
    return policy.orElse(
        budget.isPresent() ? Allocation.DEFAULT.policy() : CachePolicy.FULL.name());
  }

  /**
   * The budget that is meant.
   *
   * @throws UserException if the policy needs one
   */
  String policyBudget() {
    if (budget.isEmpty() && CachePolicies.whole(policyName()).isEmpty()) {
      throw new UserException(
          "policy " + policyName() + " needs a KV budget; give one such as 0.1, or 1 for all");
    }
    return budget.orElse(WHOLE);
  }
}
