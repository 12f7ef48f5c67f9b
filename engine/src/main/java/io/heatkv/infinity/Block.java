package io.heatkv.infinity;

import io.heatkv.cache.KvCache;
import io.heatkv.family.ScaleObserver;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.weights.Linear;
import io.heatkv.weights.Weights;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * One transformer block: self-attention over the scales so far, cross-attention to the text, feed
 * forward (CrossAttnBlock). The residual stream stays float32.
 */
final class Block {
  private static final double MAX_LOG_SCALE = Math.log(100);

  private final TransformerConfig config;
  private final int index;
  private final DType dtype;
  private final Linear qkv;
  private final Linear selfOut;
  private final Tensor headFactors;
  private final Linear textQuery;
  private final Linear textOut;
  private final Tensor textNormWeight;
  private final Tensor textNormBias;
  private final Linear up;
  private final Linear down;

  /** Takes its weights, which are there once {@link Weights#await} has returned. */
  Block(TransformerConfig config, int index, DType dtype, Weights weights) {
    this.config = config;
    this.index = index;
    this.dtype = dtype;
    String prefix = TransformerKeys.block(config, index);
    qkv =
        new Linear(
            weights.later(prefix + "sa.mat_qkv.weight", dtype),
            weights.joined(
                dtype, prefix + "sa.q_bias", prefix + "sa.zero_k_bias", prefix + "sa.v_bias"));
    selfOut = Linear.later(weights, prefix + "sa.proj", dtype);
    headFactors = headFactors(config, dtype, prefix, weights);
    textQuery = Linear.later(weights, prefix + "ca.mat_q", dtype);
    textOut = Linear.later(weights, prefix + "ca.proj", dtype);
    textNormWeight = weights.rounded(prefix + "ca_norm.weight", dtype);
    textNormBias = weights.rounded(prefix + "ca_norm.bias", dtype);
    up = Linear.later(weights, prefix + "ffn.fc1", dtype);
    down = Linear.later(weights, prefix + "ffn.fc2", dtype);
  }

  /** Factors of normalised queries and keys [2, heads]: exp(min(s, ln 100)), and 1. */
  private static Tensor headFactors(
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
    return weights.constant(factors, 2, config.heads());
  }

  /**
   * Adds the block's three branches to {@code x} in place. The last is added in the pass over
   * memory that norms the sum for the next block, where that reads what this one leaves.
   *
   * @param x residual stream [rows, tokens, width], float32
   * @param normed norm of x before self-attention, if the block before gave it; freed here
   * @param leadsOn whether the next block reads x as this one leaves it
   * @param positions rotary table of this scale [tokens, head_dim / 2], complex
   * @return norm of x before the next block's self-attention; null where it doesn't read x so
   */
  @Nullable Tensor apply(
      Tensor x,
      @Nullable Tensor normed,
      boolean leadsOn,
      Condition condition,
      int scale,
      Tensor positions,
      KvCache cache,
      ScaleObserver observer) {
    Condition.Block parameters = condition.block(index);
    DeviceOps ops = x.backend().ops(x.device());
    double eps = config.epsilon();
    Tensor attended;
    try (Scope scope = Scope.open()) {
      Tensor input =
          normed != null
              ? scope.adopt(normed)
              : ops.norm(x, parameters.attentionGain(), parameters.attentionShift(), eps, dtype);
      attended = scope.keep(selfAttention(ops, input, scale, positions, cache));
    }
    observer.selfAttention(index, scale, attended);
    Tensor read;
    try (Scope scope = Scope.open()) {
      Tensor query =
          ops.addNorm(x, attended, parameters.attentionGate(), textNormWeight, textNormBias, eps);
      read = scope.keep(crossAttention(ops, query, parameters, condition.textMask()));
    }
    Tensor inner =
        ops.addNorm(
            x, read, null, parameters.feedForwardGain(), parameters.feedForwardShift(), eps);
    Tensor hidden = ops.linearGelu(inner, up.weight(), up.bias());
    Tensor outer = down.apply(hidden);
    Tensor gate = parameters.feedForwardGate();
    if (!leadsOn) {
      ops.addGated(x, outer, gate);
      return null;
    }
    // The norm takes its place.
    hidden.release();
    Condition.Block next = condition.block(index + 1);
    return ops.addNorm(x, outer, gate, next.attentionGain(), next.attentionShift(), eps);
  }

  /** x [rows, tokens, width] to the same shape. */
  private Tensor selfAttention(
      DeviceOps ops, Tensor x, int scale, Tensor positions, KvCache cache) {
    Tensor attended;
    try (Scope scope = Scope.open()) {
      Tensor projected =
          qkv.apply(x).reshape(x.size(0), x.size(1), 3, config.heads(), config.headDim());
      DeviceOps.Heads heads =
          ops.splitHeads(
              projected,
              headFactors,
              positions,
              config.cosineAttention(),
              cache.place(index, scale));
      attended = scope.keep(cache.attend(index, scale, heads.q(), heads.k(), heads.v()));
    }
    return selfOut.apply(ops.joinHeads(attended));
  }

  /** x [rows, tokens, width] to the same shape. */
  private Tensor crossAttention(
      DeviceOps ops, Tensor x, Condition.Block parameters, @Nullable Tensor mask) {
    // The view keeps tokens before heads in memory, so that the output needs no copy.
    Tensor query =
        textQuery
            .apply(x)
            .reshape(x.size(0), x.size(1), config.heads(), config.headDim())
            .transpose(1, 2);
    double factor = 1 / Math.sqrt(config.headDim());
    Tensor keys = parameters.textKeys();
    Tensor values = parameters.textValues();
    Tensor attended =
        mask == null
            ? ops.attention(query, keys, values, factor)
            : Ops.attentionOverPadded(query, keys, values, mask, factor);
    return textOut.apply(ops.joinHeads(attended));
  }
}
