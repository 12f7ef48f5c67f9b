package io.heatkv.cli.options;

import io.heatkv.checkpoint.StorageType;
import io.heatkv.error.UserException;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** Options that say where weights are written, and in which type. */
public final class WeightsOutput {
  @Option(
      names = {"-o", "--output"},
      paramLabel = "FOLDER",
      required = true,
      description = "Folder to write.")
  private Path folder = Path.of("");

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      description =
          "Type of the weights: bf16, fp32 or fp16. Norms, biases and what lies around the"
              + " transformer's blocks are fp32. Default: ${DEFAULT-VALUE}.")
  private String dtype = "bf16";

  public Path folder() {
    return folder;
  }

  /**
   * The type asked for.
   *
   * @throws UserException if it is none of bf16, fp32, fp16
   */
  public StorageType type() {
    return switch (dtype) {
      case "bf16" -> StorageType.BF16;
      case "fp32" -> StorageType.F32;
      case "fp16" -> StorageType.F16;
      default ->
          throw new UserException("dtype '" + dtype + "' is unknown; expected bf16, fp32 or fp16");
    };
  }
}
