package io.heatkv.eval;

import io.heatkv.image.PngImage;

/** Made-up pictures, the same as in tools/make_metric_numbers.py. */
final class Patterns {
  private Patterns() {}

  interface Pattern {
    long value(int x, int y, int channel);
  }

  static PngImage picture(int width, int height, Pattern pattern) {
    byte[] rgb = new byte[3 * width * height];
    for (int i = 0; i < rgb.length; i++) {
      rgb[i] = (byte) pattern.value(i / 3 % width, i / 3 / width, i % 3);
    }
    return new PngImage(width, height, rgb);
  }

  static PngImage busy(int width, int height, int k) {
    return picture(
        width,
        height,
        (x, y, c) -> x * x * (3 + c) + y * (7 * k + c) + x * y * k + (x / 5) * (y / 7) * 11);
  }

  static PngImage calm(int width, int height, int k) {
    return picture(width, height, (x, y, c) -> 2 * x + y + 40 * c + (x / 8 + y / 8) % 2 * k);
  }
}
