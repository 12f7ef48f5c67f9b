package io.heatkv.cli.options;

import io.heatkv.error.UserException;
import io.heatkv.load.ModelFamilies;
import io.heatkv.load.ModelSizes;
import io.heatkv.scale.AspectRatio;
import io.heatkv.scale.ScaleGrids;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Options that say how large pictures are and over which scales they are drawn. */
public final class ScaleOptions {
  @Option(
      names = "--aspect-ratio",
      paramLabel = "W:H",
      description =
          "Width to height; the nearest that the model has is taken: Infinity's 1:3 to 3:1.")
  @Nullable String aspectRatio;

  @Option(
      names = "--resolution",
      paramLabel = "SIZE",
      description =
          "A resolution of the model: Infinity's 0.06M, 0.25M, 0.60M or 1M. Default: its own"
              + " scales.")
  @Nullable String resolution;

  @Option(
      names = "--scales",
      paramLabel = "LIST",
      description =
          "Grids of all scales as rows x columns, such as 1x1,2x2,4x4,8x8; or a resolution, square"
              + " unless --aspect-ratio says otherwise.")
  @Nullable String scales;

  /**
   * The grids asked for.
   *
   * @throws UserException if the options contradict each other, or the model can't draw them
   */
  public ScaleGrids grids(ModelSizes model) {
    return grids(model, Optional.empty());
  }

  /**
   * As above.
   *
   * @param standard resolution that holds where no option is given, instead of the model's
   */
  public ScaleGrids grids(ModelSizes model, Optional<String> standard) {
    if (scales == null) {
      return model.grids(
          resolution == null && aspectRatio == null ? standard : Optional.ofNullable(resolution),
          aspect());
    }
    requireAlone(scales);
    ScaleGrids grids =
        isList(scales) ? ScaleGrids.parse(scales) : model.grids(Optional.of(scales), aspect());
    model.requireDrawable(grids);
    return grids;
  }

  /**
   * What the options say without a model.
   *
   * @throws UserException if that is too little, or no family has a resolution of this name
   */
  public ScaleGrids named() {
    if (scales != null) {
      requireAlone(scales);
    }
    String name = scales != null ? scales : resolution;
    if (name == null) {
      throw new UserException("--aspect-ratio alone says no size; add --scales or --resolution");
    }
    return name.equals(scales) && isList(name)
        ? ScaleGrids.parse(name)
        : ModelFamilies.grids(name, aspect());
  }

  private static boolean isList(String text) {
    return text.indexOf('x') >= 0 || text.indexOf(',') >= 0;
  }

  private Optional<AspectRatio> aspect() {
    return Optional.ofNullable(aspectRatio).map(AspectRatio::parse);
  }

  private void requireAlone(String list) {
    if (resolution != null || (aspectRatio != null && isList(list))) {
      throw new UserException(
          "--scales "
              + list
              + " already says "
              + (isList(list)
                  ? "size and aspect ratio; leave out --aspect-ratio and --resolution"
                  : "the size; leave out --resolution"));
    }
  }

  /** Whether any of the options is given. */
  public boolean areGiven() {
    return scales != null || resolution != null || aspectRatio != null;
  }
}
