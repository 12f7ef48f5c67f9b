package io.heatkv.sample;

import io.heatkv.tensor.Tensor;

/** Chooses the bits of a scale. */
@FunctionalInterface
public interface BitChooser {
  /**
   * @param scale index of the scale
   * @param logits with guidance and temperature [batch, tokens, 2 bits]
   * @return [batch, tokens, bits], bool or 0 and 1
   */
  Tensor choose(int scale, Tensor logits);
}
