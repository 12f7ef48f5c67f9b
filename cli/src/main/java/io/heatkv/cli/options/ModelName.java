package io.heatkv.cli.options;

import io.heatkv.load.FoundModel;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.ModelSizes;
import io.heatkv.load.ModelSource;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Options that say which model it is, and in which type it computes. */
public final class ModelName {
  private static final String SYNTHETIC = "synth:";

  @Option(
      names = "--model",
      paramLabel = "MODEL",
      description =
          "emoji or emoji-512 (built in), a folder with a model's files as published or imported, or"
              + " the file of a transformer. Default: "
              + ModelSource.EMBEDDED
              + ".")
  private @Nullable String model;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      description =
          "Compute type of the transformer's blocks: fp32, bf16 or fp16. Default: bf16 on CUDA and"
              + " for the published sizes, else fp32.")
  private @Nullable String dtype;

  /** Whether a model is named. */
  public boolean isGiven() {
    return model != null;
  }

  /** Whether it is the one that is taken where none is named. */
  public boolean isDefault() {
    return model == null || model.equals(ModelSource.EMBEDDED);
  }

  /** Whether it has random weights of a published size; {@code bench} takes such. */
  public boolean isSynthetic() {
    return model != null && model.startsWith(SYNTHETIC);
  }

  /** The published size's name. */
  public String syntheticName() {
    return String.valueOf(model).substring(SYNTHETIC.length());
  }

  /**
   * The model.
   *
   * @throws io.heatkv.error.UserException if there is none of that name
   */
  public ModelDescription find() {
    return located().description();
  }

  /** The model with what is to be said about it. */
  public FoundModel located() {
    return ModelSource.locate(model == null ? ModelSource.EMBEDDED : model);
  }

  /**
   * The type asked for, or else {@link ModelSizes#computeType}.
   *
   * @throws io.heatkv.error.UserException if it is none
   */
  public DType dtype(ModelSizes sizes, Device device) {
    return dtype == null ? sizes.computeType(device) : DType.parseCompute(dtype);
  }
}
