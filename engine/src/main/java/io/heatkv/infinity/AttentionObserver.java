package io.heatkv.infinity;

import io.heatkv.tensor.Tensor;

/** Sees the output of every self-attention; for verification against recorded values. */
@FunctionalInterface
public interface AttentionObserver {
  /** Looks at nothing. */
  AttentionObserver NONE = (layer, scale, output) -> {};

  /**
   * @param layer index of the block
   * @param scale index of the scale
   * @param output after the output projection, before the gate [rows, tokens, width]; valid during
   *     the call
   */
  void selfAttention(int layer, int scale, Tensor output);
}
