package io.heatkv.cache;

import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Keys and values of earlier scales, and attention over them.
 *
 * <p>One cache serves one generation: its storage is allocated before the first scale, scales and
 * layers come in ascending order, and closing it frees the storage. The rows of one picture lie
 * together (see {@link KvShape#pictureRows}), and what a picture's rows get doesn't depend on the
 * other pictures.
 */
public interface KvCache extends AutoCloseable {
  /**
   * Where the current scale's keys and values may be written before {@link #attend}, which then
   * needs not copy them; null for anywhere.
   */
  default DeviceOps.@Nullable Place place(int layer, int scale) {
    return null;
  }

  /**
   * Attends to the retained entries of earlier scales and to all tokens of the current one, then
   * keeps of the current scale what the policy wants later.
   *
   * <p>Scores are {@code q k^T} without further scaling: cosine attention carries its scale in q.
   *
   * @param layer index of the layer
   * @param scale index of the current scale
   * @param q queries [rows, heads, tokens, head_dim]
   * @param k keys of the current scale, same shape
   * @param v values of the current scale, same shape
   * @return [rows, heads, tokens, head_dim]
   */
  Tensor attend(int layer, int scale, Tensor q, Tensor k, Tensor v);

  /**
   * What all that {@link #attend} does at a scale depends on besides its arguments, addresses
   * included: with equal ones, and arguments at the same places, the device runs the same kernels.
   * It makes ready what attending would bring to the device.
   *
   * @return null if that isn't known before
   */
  default @Nullable Object repeatKey(int scale) {
    return null;
  }

  /**
   * Takes notice that the device did what {@link #attend} did at a scale of an equal {@link
   * #repeatKey} before.
   *
   * @param then what the cache had taken after that scale
   */
  default void repeated(KvMemory then) {}

  /**
   * Takes pictures out, between scales: of the rows behind the removed ones, the last {@code count}
   * (all of them, if they are fewer) take the removed ones' places, in their order, and the cache
   * serves {@code count} rows fewer. What is stored moves in place, without a second copy of it;
   * where the removed rows are the last ones, nothing moves. The storage keeps its size until the
   * cache is closed, and the other pictures' bits don't change.
   *
   * @param first first row that is removed, the first of a picture
   * @param count rows of whole pictures, at least one; at least one picture stays
   * @throws IllegalArgumentException if the rows aren't those of whole pictures, or none would stay
   * @throws UnsupportedOperationException if the cache serves one picture only
   */
  void removeRows(int first, int count);

  /** What this cache has taken so far. */
  KvMemory memory();

  /** Frees the storage. */
  @Override
  void close();
}
