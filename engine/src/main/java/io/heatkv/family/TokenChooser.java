package io.heatkv.family;

import io.heatkv.tensor.Tensor;

/** Chooses the tokens of a scale. */
@FunctionalInterface
public interface TokenChooser {
  /**
   * @param scale index of the scale
   * @param logits with guidance and temperature [pictures, tokens, symbols, choices], float32
   * @return the chosen symbols [pictures, tokens, symbols], each from 0 to choices - 1, bool or an
   *     integer type
   */
  Tensor choose(int scale, Tensor logits);
}
