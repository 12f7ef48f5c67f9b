package io.heatkv.family;

import io.heatkv.cache.KvCache;
import io.heatkv.tensor.Tensor;
import java.util.List;

/**
 * Pictures on their way through the scales, as a family computes them: their condition and their
 * canvas, the sum of all codes so far.
 *
 * <p>Picture {@code i} of {@code n} has the rows {@code i R} to {@code i R + R - 1} of every batch,
 * where R is 2 under guidance (conditional, unconditional), else 1. Scales come one after another:
 * {@link #logits}, then {@link #accept}. Results belong to the innermost open scope. Used by one
 * thread at a time.
 */
public interface Pass extends AutoCloseable {
  /**
   * Runs the transformer for the next scale.
   *
   * @param scale its index
   * @param pictures those of the pass, in its order
   * @param cache keys and values of earlier scales, of as many rows as the pass has
   * @return logits with guidance and temperature [pictures, tokens, symbols, choices], float32: a
   *     token has so many symbols, each one of so many choices
   */
  Tensor logits(int scale, List<PictureRequest> pictures, KvCache cache, ScaleObserver observer);

  /**
   * Draws tokens as the pictures' seeds and sampling say; the same for any batch.
   *
   * @param logits of {@link #logits}
   * @return [pictures, tokens, symbols], each from 0 to choices - 1
   */
  Tensor choose(int scale, List<PictureRequest> pictures, Tensor logits);

  /**
   * Adds a scale's codes to the canvas.
   *
   * @param tokens [pictures, tokens, symbols]
   */
  void accept(int scale, Tensor tokens);

  /**
   * Sum of all codes so far [pictures, channels, rows, columns], float32; a view that changes with
   * the pass.
   */
  Tensor canvas();

  /** Between scales: the last picture takes the place of this one, and there is one less. */
  void remove(int picture);

  /** Frees everything that the pass holds, the canvas too. */
  @Override
  void close();
}
