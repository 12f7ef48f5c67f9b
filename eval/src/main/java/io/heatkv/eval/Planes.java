package io.heatkv.eval;

import io.heatkv.image.PngImage;

/** Pictures as networks read them. */
public final class Planes {
  private Planes() {}

  /** Red, green and blue planes [3, height, width], levels 0 to 255 as -1 to 1. */
  public static float[] of(PngImage picture) {
    byte[] rgb = picture.rgb();
    int pixels = rgb.length / 3;
    float[] planes = new float[rgb.length];
    for (int i = 0; i < rgb.length; i++) {
      planes[i % 3 * pixels + i / 3] = (rgb[i] & 0xFF) / 127.5f - 1;
    }
    return planes;
  }
}
