package io.heatkv.eval.run;

import io.heatkv.eval.Drawing;

/**
 * A number for each picture that says how near it is to the full cache's, or how good it is.
 *
 * @param info what it is
 * @param isAbsolute whether it looks at the other pictures only, so that those of the full cache
 *     have such numbers as well
 * @param measure gives the numbers
 */
public record Metric(MetricInfo info, boolean isAbsolute, Measure measure) {
  /** Measures the pictures of a batch. */
  @FunctionalInterface
  public interface Measure {
    /**
     * @param full drawn with the full cache
     * @param other the same prompts and seeds under a policy
     * @return one number for each picture, finite
     */
    double[] of(Drawing full, Drawing other);
  }
}
