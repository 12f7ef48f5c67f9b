package io.heatkv.server.core;

import io.heatkv.error.UserException;
import java.time.Duration;

/**
 * What each device may be asked for.
 *
 * @param kvBytes of all keys and values at a time
 * @param bytes of keys, values and everything else besides the weights at a time
 * @param waiting pictures that may wait for any of them
 * @param batch most pictures of a pass, or 0 to measure it
 * @param window that a first picture waits for others to share its pass
 */
public record Limits(long kvBytes, long bytes, int waiting, int batch, Duration window) {
  /** Most pictures of a pass that a measurement tries. */
  static final int LARGEST_BATCH = 64;

  /** Whether a pass fits. */
  boolean allow(Form form, int pictures) {
    long cache = form.need(pictures).cache();
    return cache <= kvBytes && form.need(pictures).total() <= bytes;
  }

  /**
   * @throws UserException if not even one picture of a form fits
   */
  void require(Form form) {
    if (!allow(form, 1)) {
      throw new UserException(
          "a picture takes %.1f MiB for keys and values and %.1f MiB in all, there are %.1f and %.1f; choose a smaller KV budget or model, or allow more memory"
              .formatted(
                  mib(form.need(1).cache()), mib(form.need(1).total()), mib(kvBytes), mib(bytes)));
    }
  }

  private static double mib(long bytes) {
    return bytes / (double) (1 << 20);
  }

  /** Most pictures of a pass that fit, up to {@code most}; possibly none. */
  int largest(Form form, int most) {
    int fitting = 0;
    int tooMany = most + 1;
    while (tooMany - fitting > 1) {
      int middle = (fitting + tooMany) / 2;
      if (allow(form, middle)) {
        fitting = middle;
      } else {
        tooMany = middle;
      }
    }
    return fitting;
  }
}
