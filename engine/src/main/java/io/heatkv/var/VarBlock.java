package io.heatkv.var;

import io.heatkv.cache.KvCache;
import io.heatkv.family.ScaleObserver;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.weights.Linear;
import io.heatkv.weights.Weights;
import java.util.Arrays;

/**
 * One transformer block: self-attention over the scales so far, feed forward (AdaLNSelfAttn). The
 * residual stream stays float32.
 */
final class VarBlock {
  private static final float MAX_LOG_SCALE = (float) Math.log(100);

  private final VarConfig config;
  private final int index;
  private final DType dtype;
  private final Linear qkv;
  private final Linear out;
  private final Tensor headFactors;
  private final Linear up;
  private final Linear down;

  VarBlock(VarConfig config, int index, DType dtype, Weights weights) {
    this.config = config;
    this.index = index;
    this.dtype = dtype;
    String prefix = VarKeys.block(index);
    qkv = new Linear(weights.get(prefix + "attn.mat_qkv.weight", dtype), bias(weights, prefix));
    out = Linear.load(weights, prefix + "attn.proj", dtype);
    headFactors = headFactors(weights, prefix);
    up = Linear.load(weights, prefix + "ffn.fc1", dtype);
    down = Linear.load(weights, prefix + "ffn.fc2", dtype);
  }

  /** Keys have no bias. */
  private Tensor bias(Weights weights, String prefix) {
    try (Scope _ = Scope.open()) {
      Tensor query = weights.get(prefix + "attn.q_bias", dtype);
      Device device = weights.device();
      Tensor key = Tensor.full(weights.backend(), 0, dtype, device, config.width());
      return weights.adopt(Ops.cat(0, query, key, weights.get(prefix + "attn.v_bias", dtype)));
    }
  }

  /** Factors of normalised queries and keys [2, heads]: exp(min(s, ln 100)), and 1. */
  private Tensor headFactors(Weights weights, String prefix) {
    float[] factors = new float[2 * config.heads()];
    Arrays.fill(factors, 1);
    float[] logs = weights.get(prefix + "attn.scale_mul_1H11", DType.F32).toFloats();
    for (int head = 0; head < logs.length; head++) {
      factors[head] = (float) Math.exp(Math.min(logs[head], MAX_LOG_SCALE));
    }
    return weights.constant(factors, 2, config.heads());
  }

  /**
   * Adds the block's two branches to {@code x} in place, the second in the pass over memory that
   * norms the sum for what follows.
   *
   * @param x residual stream [rows, tokens, width], float32
   * @param input norm of x before self-attention, freed here
   * @param positions a rotary table that turns nothing [tokens, head_dim / 2], complex
   * @param gain of the norm that follows [rows, width]
   * @param shift of the norm that follows [rows, width]
   * @return norm of x [rows, tokens, width], compute type
   */
  Tensor apply(
      Tensor x,
      Tensor input,
      VarCondition condition,
      int scale,
      Tensor positions,
      KvCache cache,
      ScaleObserver observer,
      Tensor gain,
      Tensor shift) {
    VarCondition.Block parameters = condition.block(index);
    DeviceOps ops = x.backend().ops(x.device());
    Tensor attended;
    try (Scope scope = Scope.open()) {
      Tensor projected =
          qkv.apply(scope.adopt(input))
              .reshape(x.size(0), x.size(1), 3, config.heads(), config.headDim());
      DeviceOps.Heads heads =
          ops.splitHeads(projected, headFactors, positions, true, cache.place(index, scale));
      Tensor joined = ops.joinHeads(cache.attend(index, scale, heads.q(), heads.k(), heads.v()));
      attended = scope.keep(out.apply(joined));
    }
    observer.selfAttention(index, scale, attended);
    Tensor inner =
        ops.addNorm(
            x,
            attended,
            parameters.attentionGate(),
            parameters.feedForwardGain(),
            parameters.feedForwardShift(),
            VarConfig.EPSILON);
    Tensor hidden = ops.linearGelu(inner, up.weight(), up.bias());
    Tensor outer = down.apply(hidden);
    // The norm takes its place.
    hidden.release();
    return ops.addNorm(x, outer, parameters.feedForwardGate(), gain, shift, VarConfig.EPSILON);
  }
}
