package io.heatkv;

import io.heatkv.infinity.AttentionObserver;
import io.heatkv.tensor.Tensor;

/** Sees the values of every scale while a picture is drawn; tensors are valid during the call. */
public interface ScaleObserver {
  /** Looks at nothing. */
  ScaleObserver NONE = new ScaleObserver() {};

  /**
   * Summed codes resized to the scale, before the word embedding; not called at scale 0.
   *
   * @param codes [batch, tokens, bits]
   */
  default void codeInput(int scale, Tensor codes) {}

  /**
   * Input of block 0 with the level embedding.
   *
   * @param x [rows, tokens, width]
   */
  default void blockInput(int scale, Tensor x) {}

  /**
   * Logits of all rows, then with guidance and temperature.
   *
   * @param raw [rows, tokens, 2 bits]
   * @param guided [batch, tokens, 2 bits]
   */
  default void logits(int scale, Tensor raw, Tensor guided) {}

  /**
   * The bits chosen and the sum of codes with this scale's.
   *
   * @param bits [batch, tokens, bits], bool
   * @param sum [batch, channels, rows, columns]
   */
  default void scaleDone(int scale, Tensor bits, Tensor sum) {}

  /** Watches the self-attention outputs. */
  default AttentionObserver attention() {
    return AttentionObserver.NONE;
  }
}
