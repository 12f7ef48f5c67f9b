package io.heatkv.infinity;

import io.heatkv.error.UserException;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The sizes that the official code registers (infinity/models/infinity.py, tools/run_infinity.py),
 * with the settings that leave no trace in the weights: guidance, temperature and resolution of
 * scripts/infer.sh and tools/interactive_infer_8b.ipynb, and of the README's training lines for the
 * sizes without published weights.
 */
public enum PublishedModel {
  // scripts/infer.sh draws with cfg 4 and tau 0.5; the 8B notebooks with 3 and 1.
  INFINITY_2B("infinity-2b", "", 32, 2048, 16, 8, 32, false, Resolution.P1, 4, 0.5),
  INFINITY_8B("infinity-8b", "", 40, 3584, 28, 8, 14, true, Resolution.P1, 3, 1),
  // Other weights of the same shapes, of a middle stage of its training; the README's Model ZOO.
  INFINITY_8B_512("infinity-8b-512", "", 40, 3584, 28, 8, 14, true, Resolution.P025, 3, 1),
  // Depth, width and heads are registered (infinity_20b); weights, bits and chunks aren't
  // published.
  // The code's inference asserts more than one chunk, so it is 2, 29 or 58; files are read with
  // the number that their names tell, and with the bits of their word_embed.
  INFINITY_20B("infinity-20b", "", 58, 4608, 36, 2, 32, false, Resolution.P1, 3, 1),
  LAYER12("infinity-125m", "infinity-layer12", 12, 768, 8, 4, 32, false, Resolution.P006, 3, 1),
  LAYER16("infinity-361m", "infinity-layer16", 16, 1152, 12, 4, 32, false, Resolution.P006, 3, 1),
  LAYER24("infinity-1b", "infinity-layer24", 24, 1536, 16, 4, 32, false, Resolution.P006, 3, 1),
  LAYER32("infinity-layer32", "", 32, 2080, 20, 4, 32, false, Resolution.P1, 3, 1),
  LAYER40("infinity-layer40", "", 40, 2688, 24, 4, 32, false, Resolution.P1, 3, 1),
  LAYER48("infinity-layer48", "", 48, 3360, 28, 4, 32, false, Resolution.P1, 3, 1);

  /** Nucleus filter of all of them: the default of gen_one_img. */
  public static final double TOP_P = 0.97;

  /** Channels of flan-t5-xl. */
  public static final int TEXT_CHANNELS = 2048;

  private static final int TEXT_MAX_LENGTH = 512;
  private static final int MLP_RATIO = 4;

  private final String label;
  private final String alias;
  private final int depth;
  private final int width;
  private final int heads;
  private final int chunks;
  private final int codeChannels;
  private final boolean patchify;
  private final Resolution resolution;
  private final double cfg;
  private final double tau;

  PublishedModel(
      String label,
      String alias,
      int depth,
      int width,
      int heads,
      int chunks,
      int codeChannels,
      boolean patchify,
      Resolution resolution,
      double cfg,
      double tau) {
    this.label = label;
    this.alias = alias;
    this.depth = depth;
    this.width = width;
    this.heads = heads;
    this.chunks = chunks;
    this.codeChannels = codeChannels;
    this.patchify = patchify;
    this.resolution = resolution;
    this.cfg = cfg;
    this.tau = tau;
  }

  /**
   * The model of that name, such as {@code infinity-2b} or {@code infinity-layer12}.
   *
   * @throws UserException if there is none
   */
  public static PublishedModel parse(String name) {
    return Arrays.stream(values())
        .filter(model -> model.names().contains(name))
        .findFirst()
        .orElseThrow(() ->
            new UserException(
                "model size '"
                    + name
                    + "' is unknown; expected "
                    + Arrays.stream(values())
                        .flatMap(model -> model.names().stream())
                        .collect(Collectors.joining(", "))));
  }

  /**
   * The model of that depth and width that weights are of; where two have the same, the name under
   * which they were published tells, such as {@code infinity_8b_512x512_weights}.
   *
   * @param weights their file
   */
  public static Optional<PublishedModel> of(int depth, int width, Path weights) {
    Path folder = weights.toAbsolutePath().getParent();
    boolean small =
        Stream.of(weights, folder == null ? weights : folder)
            .anyMatch(path -> String.valueOf(path.getFileName()).contains("512x512"));
    Optional<PublishedModel> model = of(depth, width);
    return small && model.equals(Optional.of(INFINITY_8B)) ? Optional.of(INFINITY_8B_512) : model;
  }

  /** The model of that depth and width, the largest where two have the same. */
  public static Optional<PublishedModel> of(int depth, int width) {
    return Arrays.stream(values())
        .filter(model -> model.depth == depth && model.width == width)
        .findFirst();
  }

  /**
   * The type in which a transformer's blocks compute unless asked for otherwise: bfloat16 on CUDA
   * and for the published sizes anywhere, as the official tool has it ({@code --bf16} of
   * tools/run_infinity.py), so that weights stored in it stay mapped; float32 for others.
   */
  public static DType computeType(TransformerConfig config, Device device) {
    return device.isCuda() || of(config.depth(), config.width()).isPresent()
        ? DType.BF16
        : DType.F32;
  }

  /** Its names, the usual one first. */
  public List<String> names() {
    return Stream.of(label, alias).filter(name -> !name.isEmpty()).toList();
  }

  /** Sizes of its transformer. */
  public TransformerConfig transformer() {
    return new TransformerConfig(
        depth,
        width,
        heads,
        TransformerConfigs.hidden(width, MLP_RATIO),
        patchify ? 4 * codeChannels : codeChannels,
        TEXT_CHANNELS,
        TEXT_MAX_LENGTH,
        chunks,
        true,
        RotaryNormalization.ROUNDED,
        true,
        patchify);
  }

  public int heads() {
    return heads;
  }

  /** Bits of a code position. */
  public int codeChannels() {
    return codeChannels;
  }

  /** Pixels of a picture, unless asked for otherwise. */
  public Resolution resolution() {
    return resolution;
  }

  /** Guidance strength. */
  public double cfg() {
    return cfg;
  }

  /** Temperature. */
  public double tau() {
    return tau;
  }

  @Override
  public String toString() {
    return label;
  }
}
