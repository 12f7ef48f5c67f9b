package io.heatkv.cli.options;

import io.heatkv.error.UserException;
import io.heatkv.scale.GridParser;
import io.heatkv.scale.Resolution;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleTemplate;
import java.util.Arrays;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Options that say how large pictures are and over which scales they are drawn. */
public final class ScaleOptions {
  @Option(
      names = "--aspect-ratio",
      paramLabel = "W:H",
      description = "Width to height, from 1:3 to 3:1; the nearest of the model family is taken.")
  @Nullable String aspectRatio;

  @Option(
      names = "--resolution",
      paramLabel = "SIZE",
      description = "0.06M, 0.25M, 0.60M or 1M. Default: the model's own scales.")
  @Nullable String resolution;

  @Option(
      names = "--scales",
      paramLabel = "LIST",
      description =
          "Grids of all scales as rows x columns, such as 1x1,2x2,4x4,8x8; or a resolution, square"
              + " unless --aspect-ratio says otherwise.")
  @Nullable String scales;

  /**
   * The schedule asked for.
   *
   * @param own the model's
   * @throws UserException if the options contradict each other or are out of range
   */
  public ScaleGrids grids(ScaleGrids own) {
    return grids(own, Optional.empty());
  }

  /**
   * As above.
   *
   * @param standard resolution that holds where no option is given, instead of the model's
   */
  public ScaleGrids grids(ScaleGrids own, Optional<String> standard) {
    if (scales != null) {
      return listed(scales);
    }
    String size = resolution == null && aspectRatio == null ? standard.orElse(null) : resolution;
    if (aspectRatio == null && size == null) {
      return own;
    }
    double heightDivWidth =
        aspectRatio != null
            ? GridParser.parseAspect(aspectRatio)
            : (double) own.last().height() / own.last().width();
    return ScaleTemplate.nearest(heightDivWidth)
        .grids(size != null ? Resolution.parse(size) : nearest(own));
  }

  /** What --scales says, whatever the model. */
  private ScaleGrids listed(String list) {
    boolean named = list.endsWith("M");
    if (resolution != null || (aspectRatio != null && !named)) {
      throw new UserException(
          "--scales "
              + list
              + " already says "
              + (named
                  ? "the size; leave out --resolution"
                  : "size and aspect ratio; leave out --aspect-ratio and --resolution"));
    }
    return aspectRatio == null
        ? GridParser.parse(list)
        : ScaleTemplate.nearest(GridParser.parseAspect(aspectRatio)).grids(Resolution.parse(list));
  }

  /** Whether any of the options is given. */
  public boolean areGiven() {
    return scales != null || resolution != null || aspectRatio != null;
  }

  /** The resolution that draws as many scales as the model's own schedule, else the largest. */
  private static Resolution nearest(ScaleGrids own) {
    return Arrays.stream(Resolution.values())
        .filter(size -> size.scales() == own.count())
        .findFirst()
        .orElse(Resolution.P1);
  }
}
