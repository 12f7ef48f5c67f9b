package io.heatkv.sample;

import io.heatkv.error.UserException;
import java.util.List;
import java.util.Set;

/**
 * How tokens are drawn from logits.
 *
 * @param cfg guidance strength of each scale; the last value serves all further scales
 * @param tau temperature of each scale, likewise
 * @param topK only so many of the likeliest choices are drawn, and those as likely as the last of
 *     them; 0 filters nothing
 * @param topP of what is left, the least likely choices are never drawn while together they have at
 *     most {@code 1 - topP} of the probability; 1 filters nothing
 * @param argmax takes the likeliest choice instead of drawing
 * @param guidanceOnLogits whether guidance is applied to the logits (cfg_insertion_layer 0)
 * @param guidedLayers counted from the end, -1 the last: blocks whose outputs are guided
 *     (cfg_insertion_layer below 0)
 * @param neutralCfg the strength that is no guidance: 1 where families mix {@code u + cfg (c - u)},
 *     0 where they add {@code c + cfg (c - u)}
 */
public record SamplingOptions(
    List<Double> cfg,
    List<Double> tau,
    int topK,
    double topP,
    boolean argmax,
    boolean guidanceOnLogits,
    Set<Integer> guidedLayers,
    double neutralCfg) {
  /**
   * @throws UserException if a value is out of range
   */
  public SamplingOptions {
    cfg = List.copyOf(cfg);
    tau = List.copyOf(tau);
    guidedLayers = Set.copyOf(guidedLayers);
    if (cfg.isEmpty() || tau.isEmpty()) {
      throw new UserException("cfg and tau need at least one value");
    }
    for (double value : cfg) {
      if (!(value >= 0 && value <= 1000)) {
        throw new UserException("cfg " + value + " is out of range; expected 0 to 1000");
      }
    }
    for (double value : tau) {
      if (!(value > 0 && value <= 1000)) {
        throw new UserException(
            "tau " + value + " is out of range; expected more than 0, at most 1000");
      }
    }
    if (topK < 0) {
      throw new UserException(
          "top-k " + topK + " is out of range; expected 1 or more, or 0 for no filter");
    }
    if (!(topP > 0 && topP <= 1)) {
      throw new UserException(
          "top-p " + topP + " is out of range; expected more than 0, at most 1");
    }
    for (int layer : guidedLayers) {
      if (layer >= 0) {
        throw new UserException(
            "guided layer " + layer + " is out of range; expected -1 (the last) or less");
      }
    }
  }

  /** Guidance on the logits with the same strength and temperature at every scale. */
  public static SamplingOptions of(double cfg, double tau, double topP) {
    return new SamplingOptions(List.of(cfg), List.of(tau), 0, topP, false, true, Set.of(), 1);
  }

  /** The same options with another strength of guidance at every scale. */
  public SamplingOptions withCfg(double strength) {
    return new SamplingOptions(
        List.of(strength), tau, topK, topP, argmax, guidanceOnLogits, guidedLayers, neutralCfg);
  }

  /** The same options, but taking the likeliest choice. */
  public SamplingOptions withArgmax() {
    return new SamplingOptions(
        cfg, tau, topK, topP, true, guidanceOnLogits, guidedLayers, neutralCfg);
  }

  /** The same options with another {@link #topK}. */
  public SamplingOptions withTopK(int count) {
    return new SamplingOptions(
        cfg, tau, count, topP, argmax, guidanceOnLogits, guidedLayers, neutralCfg);
  }

  /** The same options with another {@link #neutralCfg}. */
  public SamplingOptions withNeutralCfg(double strength) {
    return new SamplingOptions(
        cfg, tau, topK, topP, argmax, guidanceOnLogits, guidedLayers, strength);
  }

  public double cfg(int scale) {
    return cfg.get(Math.min(scale, cfg.size() - 1));
  }

  public double tau(int scale) {
    return tau.get(Math.min(scale, tau.size() - 1));
  }

  /** Whether pictures with these options can be drawn in one pass with pictures of others. */
  public boolean hasFormOf(SamplingOptions other) {
    return isGuided() == other.isGuided()
        && guidanceOnLogits == other.guidanceOnLogits
        && guidedLayers.equals(other.guidedLayers);
  }

  /** Whether any scale needs unconditional rows. */
  public boolean isGuided() {
    return cfg.stream().anyMatch(value -> value != neutralCfg);
  }
}
