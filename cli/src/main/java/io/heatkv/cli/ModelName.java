package io.heatkv.cli;

import io.heatkv.load.ModelDescription;
import io.heatkv.load.ModelSource;
import io.heatkv.tensor.DType;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Options that say which model it is, and in which type it computes. */
final class ModelName {
  @Option(
      names = "--model",
      paramLabel = "MODEL",
      description =
          "emoji (built in) or a folder with a model.json. Default: " + ModelSource.EMBEDDED + ".")
  private @Nullable String model;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      description =
          "Compute type of the transformer: fp32, bf16 or fp16. Default: fp32 on the CPU, bf16 on"
              + " CUDA.")
  private @Nullable String dtype;

  /** Whether a model is named. */
  boolean isGiven() {
    return model != null;
  }

  /**
   * The model.
   *
   * @throws io.heatkv.error.UserException if there is none of that name
   */
  ModelDescription find() {
    return ModelSource.find(model == null ? ModelSource.EMBEDDED : model);
  }

  /**
   * The type asked for.
   *
   * @param otherwise the device's own
   * @throws io.heatkv.error.UserException if it is none
   */
  DType dtype(DType otherwise) {
    return dtype == null ? otherwise : DType.parseCompute(dtype);
  }
}
