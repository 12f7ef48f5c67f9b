package io.heatkv.eval;

import io.heatkv.image.PngImage;

/**
 * Structural similarity (Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error
 * visibility to structural similarity", 2004): 11x11 Gaussian window with sigma 1.5, K1 0.01, K2
 * 0.03, averaged over the windows that lie wholly inside.
 *
 * <p>On luma (ITU-R BT.601, {@code 0.299 R + 0.587 G + 0.114 B}, not rounded), at full resolution.
 */
public final class Ssim {
  /** Pixels that both edges of a picture need. */
  public static final int WINDOW = 11;

  private static final double SIGMA = 1.5;
  private static final double C1 = 0.01 * 255 * 0.01 * 255;
  private static final double C2 = 0.03 * 255 * 0.03 * 255;
  private static final double[] KERNEL = kernel();

  private Ssim() {}

  private static double[] kernel() {
    double[] kernel = new double[WINDOW];
    double sum = 0;
    for (int i = 0; i < WINDOW; i++) {
      double distance = i - WINDOW / 2;
      kernel[i] = Math.exp(-distance * distance / (2 * SIGMA * SIGMA));
      sum += kernel[i];
    }
    for (int i = 0; i < WINDOW; i++) {
      kernel[i] /= sum;
    }
    return kernel;
  }

  /**
   * Similarity from -1 to 1; 1 for equal pictures.
   *
   * @throws IllegalArgumentException if the sizes differ or an edge is below {@link #WINDOW}
   */
  public static double of(PngImage a, PngImage b) {
    SameSize.check(a, b);
    int width = a.width();
    int height = a.height();
    if (width < WINDOW || height < WINDOW) {
      throw new IllegalArgumentException(
          "a picture of %dx%d pixels is smaller than the window of %d"
              .formatted(width, height, WINDOW));
    }
    return compare(luma(a), luma(b), width, height).whole();
  }

  /**
   * Means over all windows.
   *
   * @param whole luminance, contrast and structure together: the index
   * @param contrast contrast and structure alone
   */
  record Similarity(double whole, double contrast) {}

  /** Compares planes of one size [height, width] with levels from 0 to 255. */
  static Similarity compare(double[] x, double[] y, int width, int height) {
    double[] meanX = smooth(x, width, height);
    double[] meanY = smooth(y, width, height);
    double[] squareX = smooth(product(x, x), width, height);
    double[] squareY = smooth(product(y, y), width, height);
    double[] cross = smooth(product(x, y), width, height);
    double whole = 0;
    double contrast = 0;
    for (int i = 0; i < meanX.length; i++) {
      double xx = meanX[i] * meanX[i];
      double yy = meanY[i] * meanY[i];
      double xy = meanX[i] * meanY[i];
      double structure = (2 * (cross[i] - xy) + C2) / (squareX[i] - xx + (squareY[i] - yy) + C2);
      whole += (2 * xy + C1) / (xx + yy + C1) * structure;
      contrast += structure;
    }
    return new Similarity(whole / meanX.length, contrast / meanX.length);
  }

  /** Luma of every pixel. */
  static double[] luma(PngImage image) {
    byte[] rgb = image.rgb();
    double[] luma = new double[rgb.length / 3];
    for (int i = 0; i < luma.length; i++) {
      luma[i] =
          0.299 * (rgb[3 * i] & 0xFF)
              + 0.587 * (rgb[3 * i + 1] & 0xFF)
              + 0.114 * (rgb[3 * i + 2] & 0xFF);
    }
    return luma;
  }

  private static double[] product(double[] a, double[] b) {
    double[] product = new double[a.length];
    for (int i = 0; i < product.length; i++) {
      product[i] = a[i] * b[i];
    }
    return product;
  }

  /** Weighted means of all windows inside, [height - 10, width - 10]; rows first, then columns. */
  private static double[] smooth(double[] values, int width, int height) {
    int columns = width - WINDOW + 1;
    int rows = height - WINDOW + 1;
    double[] across = new double[height * columns];
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < columns; x++) {
        double sum = 0;
        for (int k = 0; k < WINDOW; k++) {
          sum += KERNEL[k] * values[y * width + x + k];
        }
        across[y * columns + x] = sum;
      }
    }
    double[] smooth = new double[rows * columns];
    for (int y = 0; y < rows; y++) {
      for (int x = 0; x < columns; x++) {
        double sum = 0;
        for (int k = 0; k < WINDOW; k++) {
          sum += KERNEL[k] * across[(y + k) * columns + x];
        }
        smooth[y * columns + x] = sum;
      }
    }
    return smooth;
  }
}
