package io.heatkv.model;

import io.heatkv.cache.KvCache;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Tensor;
import io.heatkv.weights.Weights;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * One transformer block: self-attention over the scales so far, cross-attention to the text, feed
 * forward (CrossAttnBlock). The residual stream stays float32.
 */
final class Block {
  private static final double MAX_LOG_SCALE = Math.log(100);
  // The smallest norm that F.normalize divides by.
  private static final double MIN_NORM = 1e-12;

  private final TransformerConfig config;
  private final int index;
  private final DType dtype;
  private final Linear qkv;
  private final Linear selfOut;
  private final Tensor headScale;
  private final Tensor minNorm;
  private final Linear textQuery;
  private final Linear textOut;
  private final Tensor textNormWeight;
  private final Tensor textNormBias;
  private final Linear up;
  private final Linear down;

  Block(TransformerConfig config, int index, DType dtype, Weights weights) {
    this.config = config;
    this.index = index;
    this.dtype = dtype;
    String prefix = TransformerKeys.block(config, index);
    qkv =
        new Linear(
            weights.get(prefix + "sa.mat_qkv.weight", dtype),
            weights.joined(
                dtype, prefix + "sa.q_bias", prefix + "sa.zero_k_bias", prefix + "sa.v_bias"));
    selfOut = Linear.load(weights, prefix + "sa.proj", dtype);
    headScale = headScale(config, dtype, prefix, weights);
    minNorm = weights.constant(MIN_NORM);
    textQuery = Linear.load(weights, prefix + "ca.mat_q", dtype);
    textOut = Linear.load(weights, prefix + "ca.proj", dtype);
    textNormWeight = weights.rounded(prefix + "ca_norm.weight", dtype);
    textNormBias = weights.rounded(prefix + "ca_norm.bias", dtype);
    up = Linear.load(weights, prefix + "ffn.fc1", dtype);
    down = Linear.load(weights, prefix + "ffn.fc2", dtype);
  }

  /** Factors of normalised queries and keys [1, 1, 2, heads, 1]: exp(min(s, ln 100)), and 1. */
  private static Tensor headScale(
      TransformerConfig config, DType dtype, String prefix, Weights weights) {
    float[] factors = new float[2 * config.heads()];
    Arrays.fill(factors, 1);
    if (config.cosineAttention()) {
      float[] logs = weights.rounded(prefix + "sa.scale_mul_1H11", dtype).toFloats();
      for (int head = 0; head < logs.length; head++) {
        factors[head] = (float) Math.exp(Math.min(logs[head], (float) MAX_LOG_SCALE));
      }
    } else {
      // Plain attention divides scores by the root of head_dim.
      Arrays.fill(factors, 0, config.heads(), (float) (1 / Math.sqrt(config.headDim())));
    }
    return weights.constant(factors, 1, 1, 2, config.heads(), 1);
  }

  /**
   * Adds the block's three branches to {@code x} in place.
   *
   * @param x residual stream [rows, tokens, width], float32
   * @param positions rotary table of this scale [1, tokens, 1, 1, head_dim / 2], complex
   */
  void apply(Tensor x, GenerationPass pass, int scale, Tensor positions) {
    Condition.Block parameters = pass.condition().block(index);
    double eps = config.epsilon();
    Tensor attended =
        selfAttention(
            AdaptiveNorm.apply(
                x, parameters.attentionGain(), parameters.attentionShift(), eps, dtype),
            scale,
            positions,
            pass.cache());
    pass.observer().selfAttention(index, scale, attended);
    Ops.addProductInPlace(x, attended.to(DType.F32), parameters.attentionGate());
    Ops.addInPlace(
        x,
        crossAttention(
            Ops.layerNorm(x, textNormWeight, textNormBias, eps).to(dtype),
            parameters,
            pass.condition().textMask()));
    Tensor inner =
        AdaptiveNorm.apply(
            x, parameters.feedForwardGain(), parameters.feedForwardShift(), eps, dtype);
    Tensor outer = down.apply(Ops.geluInPlace(up.apply(inner)));
    Ops.addProductInPlace(x, outer.to(DType.F32), parameters.feedForwardGate());
  }

  /** x [rows, tokens, width] to the same shape. */
  private Tensor selfAttention(Tensor x, int scale, Tensor positions, KvCache cache) {
    long rows = x.size(0);
    long tokens = x.size(1);
    Tensor three = qkv.apply(x).reshape(rows, tokens, 3, config.heads(), config.headDim());
    Tensor queryKey = three.narrow(2, 0, 2).to(DType.F32);
    Tensor factor = headScale;
    if (config.cosineAttention()) {
      Tensor norm = Ops.sqrt(Ops.sum(queryKey.mul(queryKey), true, -1));
      factor = headScale.div(Ops.maximum(norm, minNorm));
    }
    Tensor scaled = queryKey.mul(factor);
    Tensor pairs =
        Ops.asComplex(scaled.reshape(rows, tokens, 2, config.heads(), config.headDim() / 2, 2));
    Tensor rotated =
        Ops.asReal(pairs.mulInPlace(positions))
            .reshape(rows, tokens, 2, config.heads(), config.headDim())
            .to(dtype);
    Tensor attended =
        cache.attend(
            index,
            scale,
            rotated.select(2, 0).transpose(1, 2),
            rotated.select(2, 1).transpose(1, 2),
            three.select(2, 2).transpose(1, 2));
    return selfOut.apply(attended.transpose(1, 2).reshape(rows, tokens, config.width()));
  }

  /** x [rows, tokens, width] to the same shape. */
  private Tensor crossAttention(Tensor x, Condition.Block parameters, @Nullable Tensor mask) {
    long rows = x.size(0);
    long tokens = x.size(1);
    Tensor query =
        textQuery.apply(x).reshape(rows, tokens, config.heads(), config.headDim()).transpose(1, 2);
    Tensor attended =
        Ops.attention(
            query,
            parameters.textKeys(),
            parameters.textValues(),
            mask,
            1 / Math.sqrt(config.headDim()));
    return textOut.apply(attended.transpose(1, 2).reshape(rows, tokens, config.width()));
  }
}
