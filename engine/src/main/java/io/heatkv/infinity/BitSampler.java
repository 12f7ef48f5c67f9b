package io.heatkv.infinity;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Tensor;

/**
 * Chooses a bit for every pair of logits.
 *
 * <p>Reference: {@code sample_with_top_k_top_p_also_inplace_modifying_logits_} over two choices,
 * where top-k of 2 or more removes nothing and top-p removes the less likely bit when its
 * probability is at most {@code 1 - topP}.
 */
public final class BitSampler {
  private BitSampler() {}

  /**
   * Guidance on logits and temperature: {@code (cfg conditional + (1 - cfg) unconditional) / tau}.
   *
   * @param logits [pictures, R, ...]: of each picture the conditional row, then with guidance the
   *     unconditional one
   * @return [pictures, ...]
   */
  public static Tensor guided(Tensor logits, double cfg, double tau) {
    Tensor warm = tau == 1 ? logits : logits.mul(1 / tau);
    Tensor conditional = warm.select(1, 0);
    if (cfg == 1 || logits.size(1) == 1) {
      return conditional;
    }
    return conditional.mul(cfg).addScaled(warm.select(1, 1), 1 - cfg);
  }

  /**
   * The more likely bit; a tie gives 0.
   *
   * @param logits [pictures, tokens, bits, 2]
   * @return [pictures, tokens, bits], bool
   */
  public static Tensor argmax(Tensor logits) {
    return Ops.greater(logits.select(3, 1), logits.select(3, 0));
  }

  /**
   * Bit 1 where the uniform is below its filtered probability.
   *
   * @param logits [pictures, tokens, bits, 2]
   * @param uniforms [pictures, tokens, bits] in [0, 1), float32
   * @param topP in (0, 1]; 1 filters nothing
   * @return [pictures, tokens, bits], bool
   */
  public static Tensor sample(Tensor logits, Tensor uniforms, double topP) {
    Tensor one = Ops.sigmoid(logits.select(3, 1).sub(logits.select(3, 0)));
    if (topP < 1) {
      Tensor less = Ops.minimum(one, one.mul(-1).add(1));
      // Of equal choices the reference keeps 1, the last in its sort.
      Tensor likelier =
          Ops.where(Ops.less(one, constant(one, 0.5)), constant(one, 0), constant(one, 1));
      one = Ops.where(Ops.lessOrEqual(less, constant(one, 1 - topP)), likelier, one);
    }
    return Ops.less(uniforms, one);
  }

  private static Tensor constant(Tensor like, double value) {
    return Tensor.full(like.backend(), value, DType.F32, like.device(), 1);
  }
}
