package io.heatkv.eval;

import io.heatkv.image.PngImage;

/** Metrics compare pictures of one size only. */
final class SameSize {
  private SameSize() {}

  static void check(PngImage a, PngImage b) {
    if (a.width() != b.width() || a.height() != b.height()) {
      throw new IllegalArgumentException(
          "pictures of %dx%d and %dx%d pixels can't be compared"
              .formatted(a.width(), a.height(), b.width(), b.height()));
    }
  }
}
