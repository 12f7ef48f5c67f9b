package io.heatkv.family;

import io.heatkv.tensor.Tensor;

/** Sees the values of every scale while pictures are drawn; tensors are valid during the call. */
public interface ScaleObserver {
  /** Looks at nothing. */
  ScaleObserver NONE = new ScaleObserver() {};

  /**
   * What the transformer reads of the canvas, before the embedding; not called at scale 0.
   *
   * @param codes [pictures, tokens, channels]
   */
  default void codeInput(int scale, Tensor codes) {}

  /**
   * Input of block 0 with all embeddings.
   *
   * @param x [rows, tokens, width]
   */
  default void blockInput(int scale, Tensor x) {}

  /**
   * Output of a self-attention after its projection, before the gate.
   *
   * @param layer index of the block
   * @param output [rows, tokens, width]
   */
  default void selfAttention(int layer, int scale, Tensor output) {}

  /**
   * Logits of all rows, then with guidance and temperature.
   *
   * @param raw [rows, tokens, symbols, choices]
   * @param guided [pictures, tokens, symbols, choices]
   */
  default void logits(int scale, Tensor raw, Tensor guided) {}

  /**
   * The tokens chosen and the canvas with this scale's codes.
   *
   * @param tokens [pictures, tokens, symbols]
   * @param canvas [pictures, channels, rows, columns]
   */
  default void scaleDone(int scale, Tensor tokens, Tensor canvas) {}
}
