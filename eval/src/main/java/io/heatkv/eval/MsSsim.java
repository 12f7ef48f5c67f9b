package io.heatkv.eval;

import io.heatkv.image.PngImage;

/**
 * Multi-scale structural similarity (Wang, Simoncelli, Bovik, "Multiscale structural similarity for
 * image quality assessment", 2003): contrast and structure of {@link Ssim} at five sizes, each half
 * the one before, and luminance at the smallest, multiplied with the paper's exponents.
 *
 * <p>On luma as {@link Ssim}. Pictures are halved by means of 2x2 pixels, an odd edge repeated, as
 * the authors' code does. A mean contrast below zero, which has no such power, counts as zero.
 */
public final class MsSsim {
  private static final double[] EXPONENTS = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};

  /** Pixels that both edges of a picture need: the smallest of five sizes still holds a window. */
  public static final int LEAST_EDGE = Ssim.WINDOW << (EXPONENTS.length - 1);

  private MsSsim() {}

  /** Whether a picture of that size is large enough for five scales. */
  public static boolean isDefined(int width, int height) {
    return Math.min(width, height) >= LEAST_EDGE;
  }

  /**
   * Similarity from 0 to 1; 1 for equal pictures.
   *
   * @throws IllegalArgumentException if the sizes differ or an edge is below {@link #LEAST_EDGE}
   */
  public static double of(PngImage a, PngImage b) {
    SameSize.check(a, b);
    int width = a.width();
    int height = a.height();
    if (!isDefined(width, height)) {
      throw new IllegalArgumentException(
          "MS-SSIM of five scales needs edges of %d pixels or more, not %dx%d"
              .formatted(LEAST_EDGE, width, height));
    }
    double[] x = Ssim.luma(a);
    double[] y = Ssim.luma(b);
    double product = 1;
    for (int scale = 0; scale < EXPONENTS.length; scale++) {
      if (scale > 0) {
        x = halved(x, width, height);
        y = halved(y, width, height);
        width = Math.ceilDiv(width, 2);
        height = Math.ceilDiv(height, 2);
      }
      Ssim.Similarity similarity = Ssim.compare(x, y, width, height);
      double factor = scale == EXPONENTS.length - 1 ? similarity.whole() : similarity.contrast();
      product *= Math.pow(Math.max(0, factor), EXPONENTS[scale]);
    }
    return product;
  }

  private static double[] halved(double[] plane, int width, int height) {
    int columns = Math.ceilDiv(width, 2);
    int rows = Math.ceilDiv(height, 2);
    double[] half = new double[columns * rows];
    for (int y = 0; y < rows; y++) {
      int above = 2 * y * width;
      int below = Math.min(2 * y + 1, height - 1) * width;
      for (int x = 0; x < columns; x++) {
        int left = 2 * x;
        int right = Math.min(2 * x + 1, width - 1);
        half[y * columns + x] =
            (plane[above + left]
                    + plane[above + right]
                    + plane[below + left]
                    + plane[below + right])
                / 4;
      }
    }
    return half;
  }
}
