package io.heatkv.cli.options;

import io.heatkv.cache.KvStorage;
import io.heatkv.error.UserException;
import io.heatkv.policy.CachePolicies;
import io.heatkv.schedule.Allocation;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Says how policies that keep or drop whole tokens store them. */
final class StoreOption {
  @Option(
      names = "--kv-store",
      paramLabel = "TYPE",
      description =
          "How policies that keep or drop tokens store them: 16 (bits), int8, or native (the"
              + " compute type; a budget is then a ratio of its full cache). Default: 16.")
  private @Nullable String type;

  /** Whether one is named. */
  boolean isGiven() {
    return type != null;
  }

  /**
   * Checks that one of the policies stores tokens as is asked for, if a store is named.
   *
   * @throws UserException if all have formats of their own
   */
  void requireServes(List<String> policies) {
    if (isGiven() && policies.stream().allMatch(StoreOption::hasOwnFormat)) {
      throw new UserException(
          "--kv-store serves policies that keep or drop tokens only, not %s; leave it out"
              .formatted(String.join(", ", policies)));
    }
  }

  private static boolean hasOwnFormat(String policy) {
    return policy.equals(Allocation.RATE_DISTORTION.policy())
        || CachePolicies.whole(policy).isPresent();
  }

  /**
   * What is asked for, else 16 bits.
   *
   * @throws UserException if it is unknown
   */
  KvStorage storage() {
    return type == null ? KvStorage.HALF : KvStorage.parse(type);
  }
}
