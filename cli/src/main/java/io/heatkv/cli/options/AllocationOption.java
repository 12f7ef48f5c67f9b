package io.heatkv.cli.options;

import io.heatkv.schedule.Allocation;
import java.util.Arrays;
import java.util.Iterator;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
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
          "How HeatKV spends a budget: ${COMPLETION-CANDIDATES}. Default: greedy; with bare head"
              + " orders, paper.")
  private @Nullable String name;

  /**
   * The rule, if one is named.
   *
   * @throws io.heatkv.error.UserException if it is none
   */
  public Optional<Allocation> rule() {
    return Optional.ofNullable(name).map(Allocation::parse);
  }
}
