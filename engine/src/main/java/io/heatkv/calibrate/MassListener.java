package io.heatkv.calibrate;

/** Is told how much of its attention a scale gives to earlier ones. */
@FunctionalInterface
interface MassListener {
  /**
   * A scale is drawn.
   *
   * @param target the scale
   * @param mass mean over the scale's queries of the softmax probabilities that fall on a source
   *     scale [source][layer][head], sources up to {@code target - 1}; null for sink scales
   */
  void scaleObserved(int target, double[][][] mass);
}
