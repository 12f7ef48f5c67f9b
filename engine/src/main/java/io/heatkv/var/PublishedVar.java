package io.heatkv.var;

import io.heatkv.error.UserException;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.var.vae.VqConfig;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * The published sizes (build_vae_var of models/__init__.py): depth d has d heads of 64 channels.
 */
public enum PublishedVar {
  D16(16),
  D20(20),
  D24(24),
  D30(30),
  D36(36);

  /** Sampling of the official demo (demo_sample.ipynb). */
  public static final double CFG = 4;

  public static final int TOP_K = 900;
  public static final double TOP_P = 0.95;

  private static final int HEAD_DIM = 64;
  private static final int CLASSES = 1000;
  private static final int[] EDGES_256 = {1, 2, 3, 4, 5, 6, 8, 10, 13, 16};
  private static final int[] EDGES_512 = {1, 2, 3, 4, 6, 9, 13, 18, 24, 32};

  private final int depth;

  PublishedVar(int depth) {
    this.depth = depth;
  }

  /**
   * The size of that name, such as {@code var-d16}.
   *
   * @throws UserException if there is none
   */
  public static PublishedVar parse(String name) {
    return Arrays.stream(values())
        .filter(size -> size.toString().equals(name))
        .findFirst()
        .orElseThrow(() ->
            new UserException(
                "model size '%s' is unknown; expected %s"
                    .formatted(
                        name,
                        Arrays.stream(values())
                            .map(PublishedVar::toString)
                            .collect(Collectors.joining(", ")))));
  }

  /** The size whose transformer has these sizes. */
  public static Optional<PublishedVar> of(VarConfig config) {
    return Arrays.stream(values()).filter(size -> size.config().equals(config)).findFirst();
  }

  /** Sizes of its transformer. The largest draws 512² pixels, the others 256². */
  public VarConfig config() {
    boolean large = this == D36;
    int width = HEAD_DIM * depth;
    return new VarConfig(
        depth,
        width,
        depth,
        4 * width,
        CLASSES,
        VqConfig.PUBLISHED.channels(),
        VqConfig.PUBLISHED.entries(),
        large,
        new ScaleGrids(
            IntStream.of(large ? EDGES_512 : EDGES_256)
                .mapToObj(edge -> new ScaleSize(edge, edge))
                .toList()));
  }

  /** Such as {@code var-d16}. */
  @Override
  public String toString() {
    return "var-" + name().toLowerCase(Locale.ROOT);
  }
}
