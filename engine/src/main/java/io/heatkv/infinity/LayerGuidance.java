package io.heatkv.infinity;

import io.heatkv.tensor.Tensor;
import java.util.Set;

/**
 * Classifier-free guidance on the outputs of chosen blocks (cfg_insertion_layer &lt; 0): both
 * halves become {@code cfg * conditional + (1 - cfg) * unconditional}.
 *
 * @param layers block indices after which it is applied
 * @param cfg guidance strength of this scale; 1 applies none
 */
public record LayerGuidance(Set<Integer> layers, double cfg) {
  /** Guidance on no block. */
  public static final LayerGuidance NONE = new LayerGuidance(Set.of(), 1);

  void apply(int layer, Tensor x) {
    if (cfg == 1 || !layers.contains(layer)) {
      return;
    }
    long half = x.size(0) / 2;
    Tensor conditional = x.narrow(0, 0, half);
    Tensor unconditional = x.narrow(0, half, half);
    Tensor guided = conditional.mul(cfg).addScaled(unconditional, 1 - cfg);
    conditional.copyFrom(guided);
    unconditional.copyFrom(guided);
  }
}
