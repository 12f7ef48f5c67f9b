package io.heatkv;

import io.heatkv.error.UserException;
import io.heatkv.family.NextScaleModel;
import io.heatkv.scale.ScaleGrids;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Sizes in pixels that a model draws, and the grids that they mean. */
public final class PictureSizes {
  // Between neighbouring templates lies less.
  private static final double RATIO_SLACK = Math.log(1.15);
  private static final Pattern SIZE = Pattern.compile("([1-9]\\d{0,5})x([1-9]\\d{0,5})");

  private final List<Size> sizes;

  /**
   * @param width in pixels
   * @param height in pixels
   * @param grids of the scales
   */
  public record Size(int width, int height, ScaleGrids grids) {
    private double ratio() {
      return Math.log((double) width / height);
    }

    private double area() {
      return Math.log((double) width * height);
    }

    @Override
    public String toString() {
      return width + "x" + height;
    }
  }

  /**
   * The sizes of a model: those that it offers and can draw.
   *
   * @param offered the model's own grids first
   * @param pixels along an edge of what one token shows
   */
  public PictureSizes(NextScaleModel model, List<ScaleGrids> offered, int pixels) {
    sizes = new ArrayList<>();
    offered.forEach(grids -> offer(model, size(grids, pixels)));
  }

  private void offer(NextScaleModel model, Size size) {
    try {
      model.requireDrawable(size.grids);
    } catch (UserException _) {
      return;
    }
    if (sizes.stream().noneMatch(known -> known.toString().equals(size.toString()))) {
      sizes.add(size);
    }
  }

  private static Size size(ScaleGrids grids, int pixels) {
    return new Size(pixels * grids.last().width(), pixels * grids.last().height(), grids);
  }

  /** The model's own first. */
  public List<Size> all() {
    return List.copyOf(sizes);
  }

  /** The size of grids that is among them. */
  public Size of(ScaleGrids grids) {
    return sizes.stream().filter(size -> size.grids.equals(grids)).findFirst().orElseThrow();
  }

  /**
   * The size nearest to one asked for: at first in its ratio, then in its area.
   *
   * @param text such as {@code 1024x1024}, or {@code auto} for the model's own
   * @throws UserException if it can't be read, or has a ratio that the model doesn't draw
   */
  public Size nearest(String text) {
    if (text.equals("auto")) {
      return sizes.getFirst();
    }
    Matcher matcher = SIZE.matcher(text);
    if (!matcher.matches()) {
      throw new UserException(
          "size '%s' can't be read; expected auto or one of %s".formatted(shown(text), this));
    }
    int width = Integer.parseInt(matcher.group(1));
    int height = Integer.parseInt(matcher.group(2));
    Size wanted = new Size(width, height, sizes.getFirst().grids);
    double off = sizes.stream().mapToDouble(size -> distance(size, wanted)).min().orElseThrow();
    if (off > RATIO_SLACK) {
      throw new UserException(
          "size %s has a ratio that isn't drawn; expected one of %s".formatted(wanted, this));
    }
    // Grids of one template differ a little in their ratio.
    return sizes.stream()
        .filter(size -> distance(size, wanted) <= off + 0.03)
        .min(Comparator.comparingDouble(size -> Math.abs(size.area() - wanted.area())))
        .orElseThrow();
  }

  private static double distance(Size a, Size b) {
    return Math.abs(a.ratio() - b.ratio());
  }

  private static String shown(String text) {
    String printable = text.replaceAll("\\p{Cntrl}", "?");
    return printable.length() > 40 ? printable.substring(0, 40) + "…" : printable;
  }

  @Override
  public String toString() {
    return String.join(", ", sizes.stream().map(Size::toString).toList());
  }
}
