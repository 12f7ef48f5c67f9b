package io.heatkv.infinity;

import io.heatkv.error.UserException;
import io.heatkv.scale.AspectRatio;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import java.util.ArrayList;
import java.util.List;

/**
 * One row of Infinity's dynamic resolution: 13 grids of nearly one aspect ratio.
 *
 * @param heightDivWidth name of the template, the ratio it stands for
 * @param sizes the grids, coarse to fine
 */
public record ScaleTemplate(double heightDivWidth, List<ScaleSize> sizes) {
  // ratio2hws of infinity/utils/dynamic_resolution.py: rows, columns.
  private static final Object[][] TABLE = {
    {1.0, "1,1 2,2 4,4 6,6 8,8 12,12 16,16 20,20 24,24 32,32 40,40 48,48 64,64"},
    {1.25, "1,1 2,2 3,3 5,4 10,8 15,12 20,16 25,20 30,24 35,28 45,36 55,44 70,56"},
    {1.333, "1,1 2,2 4,3 8,6 12,9 16,12 20,15 24,18 28,21 36,27 48,36 60,45 72,54"},
    {1.5, "1,1 2,2 3,2 6,4 9,6 15,10 21,14 27,18 33,22 39,26 48,32 63,42 78,52"},
    {1.75, "1,1 2,2 3,3 7,4 11,6 14,8 21,12 28,16 35,20 42,24 56,32 70,40 84,48"},
    {2.0, "1,1 2,2 4,2 6,3 10,5 16,8 22,11 30,15 38,19 46,23 60,30 74,37 90,45"},
    {2.5, "1,1 2,2 5,2 10,4 15,6 20,8 25,10 30,12 40,16 50,20 65,26 80,32 100,40"},
    {3.0, "1,1 2,2 6,2 9,3 15,5 21,7 27,9 36,12 45,15 54,18 72,24 90,30 111,37"},
  };

  private static final List<ScaleTemplate> ALL = all();
  private static final double MAX_ASPECT = 3;
  // 1:3 written as a decimal has few digits.
  private static final double SLACK = 1e-3;

  public ScaleTemplate {
    sizes = List.copyOf(sizes);
  }

  private static List<ScaleTemplate> all() {
    List<ScaleTemplate> templates = new ArrayList<>();
    for (Object[] row : TABLE) {
      double ratio = (Double) row[0];
      List<ScaleSize> tall = new ArrayList<>();
      List<ScaleSize> wide = new ArrayList<>();
      for (String pair : ((String) row[1]).split(" ")) {
        int comma = pair.indexOf(',');
        int height = Integer.parseInt(pair.substring(0, comma));
        int width = Integer.parseInt(pair.substring(comma + 1));
        tall.add(new ScaleSize(height, width));
        wide.add(new ScaleSize(width, height));
      }
      templates.add(new ScaleTemplate(ratio, tall));
      if (ratio != 1) {
        // The official table names inverses by three truncated decimals.
        templates.add(new ScaleTemplate((int) (1 / ratio * 1000) / 1000.0, wide));
      }
    }
    return List.copyOf(templates);
  }

  /** All templates in the official order: each tall one followed by its wide inverse. */
  public static List<ScaleTemplate> values() {
    return ALL;
  }

  /** The template whose ratio is nearest; the first of equally near ones. */
  public static ScaleTemplate nearest(double heightDivWidth) {
    ScaleTemplate best = ALL.getFirst();
    for (ScaleTemplate template : ALL) {
      if (Math.abs(heightDivWidth - template.heightDivWidth)
          < Math.abs(heightDivWidth - best.heightDivWidth)) {
        best = template;
      }
    }
    return best;
  }

  /**
   * The template whose ratio is nearest.
   *
   * @throws UserException if the ratio is not from 1:3 to 3:1
   */
  public static ScaleTemplate nearest(AspectRatio aspect) {
    double widthDivHeight = 1 / aspect.heightDivWidth();
    if (!(widthDivHeight >= 1 / MAX_ASPECT - SLACK && widthDivHeight <= MAX_ASPECT + SLACK)) {
      throw new UserException("aspect ratio '" + aspect + "' is out of range; expected 1:3 to 3:1");
    }
    return nearest(aspect.heightDivWidth());
  }

  /**
   * That to which the rotary positions of grids refer: the nearest to the last one's aspect. Four
   * or more first scales of a template are its own.
   */
  public static ScaleTemplate of(ScaleGrids grids) {
    ScaleSize last = grids.last();
    return nearest((double) last.height() / last.width());
  }

  /** The first scales of this template. */
  public ScaleGrids grids(Resolution resolution) {
    return new ScaleGrids(sizes.subList(0, resolution.scales()));
  }
}
