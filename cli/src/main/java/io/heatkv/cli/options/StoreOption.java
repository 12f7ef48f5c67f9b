package io.heatkv.cli.options;

import io.heatkv.cache.KvStorage;
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
   * What is asked for, else 16 bits.
   *
   * @throws io.heatkv.error.UserException if it is unknown
   */
  KvStorage storage() {
    return type == null ? KvStorage.HALF : KvStorage.parse(type);
  }
}
