package io.heatkv.cache;

import io.heatkv.tensor.Tensor;

/**
 * Keys and values of earlier scales, and attention over them.
 *
 * <p>One cache serves one generation: its storage is allocated before the first scale, scales and
 * layers come in ascending order, and closing it frees the storage.
 */
public interface KvCache extends AutoCloseable {
  /**
   * Attends to the retained entries of earlier scales and to all tokens of the current one, then
   * keeps of the current scale what the policy wants later.
   *
   * <p>Scores are {@code q k^T} without further scaling: cosine attention carries its scale in q.
   *
   * @param layer index of the layer
   * @param scale index of the current scale
   * @param q queries [batch, heads, tokens, head_dim]
   * @param k keys of the current scale, same shape
   * @param v values of the current scale, same shape
   * @return [batch, heads, tokens, head_dim]
   */
  Tensor attend(int layer, int scale, Tensor q, Tensor k, Tensor v);

  default void removeRows(int first, int count) {
    throw new UnsupportedOperationException();
  }

  /** What this cache has taken so far. */
  KvMemory memory();

  /** Frees the storage. */
  @Override
  void close();
}
