package io.heatkv.eval;

import io.heatkv.image.PngImage;

/** Peak signal-to-noise ratio. */
public final class Psnr {
  private static final double PEAK = 255;

  private Psnr() {}

  /**
   * {@code 10 log10(255² / MSE)} in decibels, the error averaged over all pixels and the three
   * channels; infinite for equal pictures.
   *
   * @throws IllegalArgumentException if the sizes differ
   */
  public static double of(PngImage a, PngImage b) {
    SameSize.check(a, b);
    byte[] first = a.rgb();
    byte[] second = b.rgb();
    long squares = 0;
    for (int i = 0; i < first.length; i++) {
      int difference = (first[i] & 0xFF) - (second[i] & 0xFF);
      squares += (long) difference * difference;
    }
    return 10 * Math.log10(PEAK * PEAK * first.length / squares);
  }
}
