package io.heatkv;

import io.heatkv.cache.KvMemory;
import java.util.List;

/**
 * Pictures and what it took to draw them.
 *
 * @param images in the order of the request, without cancelled ones
 * @param timings of the stages
 * @param tokens drawn for each picture
 * @param kv bytes that the cache took
 * @param fullKvBytes storage that the full cache takes
 * @param warnings for the user, such as a prompt that was cut
 */
public record GenerationResult(
    List<Picture> images,
    Timings timings,
    int tokens,
    KvMemory kv,
    long fullKvBytes,
    List<String> warnings) {
  public GenerationResult {
    images = List.copyOf(images);
    warnings = List.copyOf(warnings);
  }

  /**
   * Milliseconds of the stages.
   *
   * @param text from prompts to what the transformer reads, and the cache
   * @param scales each scale of the transformer
   * @param decode codes to pixels
   */
  public record Timings(double text, List<Double> scales, double decode) {
    public Timings {
      scales = List.copyOf(scales);
    }

    /** All scales together. */
    public double transformer() {
      return scales.stream().mapToDouble(Double::doubleValue).sum();
    }

    /** All stages together. */
    public double total() {
      return text + transformer() + decode;
    }
  }
}
