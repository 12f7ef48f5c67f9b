package io.heatkv.eval.learned;

import io.heatkv.eval.Planes;
import io.heatkv.image.PngImage;

/**
 * Size of the pictures that a model was checked for.
 *
 * @param width pixels
 * @param height pixels
 */
record PictureInput(int width, int height) {
  long[] shape() {
    return new long[] {1, 3, height, width};
  }

  float[] planes(PngImage picture) {
    if (picture.width() != width || picture.height() != height) {
      throw new IllegalArgumentException(
          "a picture of %dx%d pixels, the model was opened for %dx%d"
              .formatted(picture.width(), picture.height(), width, height));
    }
    return Planes.of(picture);
  }
}
