package io.heatkv.cli.options;

import io.heatkv.cache.KvStorage;
import picocli.CommandLine.Option;

/** Says how policies that keep or drop whole tokens store them. */
final class StoreOption {
  @Option(
      names = "--kv-store",
      paramLabel = "TYPE",
      defaultValue = "16",
      description =
          "How policies that keep or drop tokens store them: 16 (bits), int8, or native (the"
              + " compute type; a budget is then a ratio of its full cache). Default:"
              + " ${DEFAULT-VALUE}.")
  private String type = "16";

  /**
   * What is asked for.
   *
   * @throws io.heatkv.error.UserException if it is unknown
   */
  KvStorage storage() {
    return KvStorage.parse(type);
  }
}
