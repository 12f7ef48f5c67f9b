package io.heatkv.infinity;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.weights.Linear;
import io.heatkv.weights.Weights;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Derives a {@link Condition} from text features, all in float32 as the official code does.
 *
 * <p>Prompts of a batch may have different lengths: shorter ones are padded and masked.
 */
final class TextConditioner {
  private static final double MASKED = -1e30;

  private final TransformerConfig config;
  private final DType dtype;
  private final Weights weights;
  private final Tensor unconditional;
  private final Tensor norm;
  private final Tensor poolQuery;
  private final Tensor poolKeyValue;
  private final Tensor poolBias;
  private final Linear poolProjection;
  private final Linear project0;
  private final Linear project2;
  private final Linear shared;
  private final Linear head;
  private final List<Layer> layers = new ArrayList<>();

  /** Weights of one block that depend only on the condition. */
  private record Layer(Tensor adaptive, Tensor keyValue, Tensor bias) {}

  /** Takes its weights, which are there once {@link Weights#await} has returned. */
  TextConditioner(TransformerConfig config, DType dtype, Weights weights) {
    this.config = config;
    this.dtype = dtype;
    this.weights = weights;
    unconditional = weights.get("cfg_uncond", DType.F32);
    norm = weights.get("text_norm.weight", DType.F32);
    poolQuery = weights.get("text_proj_for_sos.ca.mat_q", DType.F32);
    poolKeyValue = weights.get("text_proj_for_sos.ca.mat_kv.weight", DType.F32);
    poolBias =
        weights.joined(
            DType.F32, "text_proj_for_sos.ca.zero_k_bias", "text_proj_for_sos.ca.v_bias");
    poolProjection = Linear.load(weights, "text_proj_for_sos.ca.proj", DType.F32);
    project0 = Linear.load(weights, "text_proj_for_ca.0", DType.F32);
    project2 = Linear.load(weights, "text_proj_for_ca.2", DType.F32);
    shared = Linear.load(weights, "shared_ada_lin.1", DType.F32);
    head = Linear.load(weights, "head_nm.ada_lin.1", DType.F32);
    for (int i = 0; i < config.depth(); i++) {
      String prefix = TransformerKeys.block(config, i);
      layers.add(
          new Layer(
              weights.rounded(prefix + "ada_gss", dtype),
              weights.later(prefix + "ca.mat_kv.weight", dtype),
              weights.joined(dtype, prefix + "ca.zero_k_bias", prefix + "ca.v_bias")));
    }
  }

  /** The learned features of no prompt, {@code tokens} of them: [tokens, text channels]. */
  Tensor unconditional(long tokens) {
    return unconditional.narrow(0, 0, tokens);
  }

  /** Features [tokens, text channels] after the text norm, float32. */
  Tensor normed(Tensor features) {
    return Ops.rmsNorm(features.to(weights.device()).to(DType.F32), norm, config.epsilon());
  }

  /** Normed features [..., text channels] as cross-attention reads them [..., width], float32. */
  Tensor projected(Tensor normed) {
    return project2.apply(Ops.geluInPlace(project0.apply(normed)));
  }

  /**
   * @param features of each row [text tokens, text channels]
   */
  Condition condition(List<Tensor> features) {
    Scope kept = Scope.detached();
    try (Scope _ = Scope.open()) {
      List<Tensor> normed = new ArrayList<>();
      for (Tensor row : features) {
        normed.add(normed(row));
      }
      Tensor pooled = pool(normed);
      Tensor projected = projected(padded(normed)).to(dtype);
      Tensor adaptive =
          shared.apply(Ops.silu(pooled)).reshape(pooled.size(0), 1, 6, config.width());
      Tensor headParameters =
          head.apply(Ops.silu(pooled)).reshape(pooled.size(0), 2, config.width());
      List<Condition.Block> blocks = new ArrayList<>();
      for (Layer layer : layers) {
        try (Scope _ = Scope.open()) {
          blocks.add(block(layer, adaptive, projected, kept));
        }
      }
      Tensor mask = mask(features);
      return new Condition(
          kept,
          kept.adopt(pooled),
          kept.adopt(adaptive),
          kept.adopt(headParameters.select(1, 0).add(1)),
          kept.adopt(headParameters.select(1, 1).contiguous()),
          blocks,
          mask == null ? null : kept.adopt(mask));
    } catch (RuntimeException e) {
      kept.close();
      throw e;
    }
  }

  /** One learned query a head over each row's text (TextAttentivePool): [rows, width]. */
  private Tensor pool(List<Tensor> rows) {
    long heads = poolQuery.size(1);
    long dim = poolQuery.size(2);
    List<Tensor> pooled = new ArrayList<>();
    for (Tensor row : rows) {
      Tensor keyValue =
          Ops.linear(row, poolKeyValue, poolBias)
              .reshape(1, row.size(0), 2, heads, dim)
              .permute(2, 0, 3, 1, 4);
      Tensor query = poolQuery.reshape(1, heads, 1, dim);
      pooled.add(
          Ops.attention(
                  query,
                  keyValue.select(0, 0),
                  keyValue.select(0, 1),
                  null,
                  1 / Math.sqrt((double) dim))
              .reshape(1, heads * dim));
    }
    return poolProjection.apply(Ops.cat(0, pooled));
  }

  private Condition.Block block(Layer layer, Tensor adaptive, Tensor text, Scope kept) {
    // Order of the official code: gamma1, gamma2, scale1, scale2, shift1, shift2.
    Tensor six = layer.adaptive.add(adaptive).permute(2, 0, 1, 3).contiguous();
    long rows = adaptive.size(0);
    long width = config.width();
    Tensor keyValue =
        Ops.linear(text, layer.keyValue, layer.bias)
            .reshape(rows, text.size(1), 2, config.heads(), config.headDim())
            .permute(2, 0, 3, 1, 4)
            .contiguous();
    return new Condition.Block(
        kept.adopt(six.select(0, 0)),
        kept.adopt(six.select(0, 1)),
        kept.adopt(six.select(0, 2).reshape(rows, width).add(1)),
        kept.adopt(six.select(0, 3).reshape(rows, width).add(1)),
        kept.adopt(six.select(0, 4).reshape(rows, width)),
        kept.adopt(six.select(0, 5).reshape(rows, width)),
        kept.adopt(keyValue.select(0, 0)),
        kept.adopt(keyValue.select(0, 1)));
  }

  private static long longest(List<Tensor> rows) {
    return rows.stream().mapToLong(row -> row.size(0)).max().orElseThrow();
  }

  /** Rows stacked, shorter ones filled with zeros: [rows, longest, channels]. */
  private static Tensor padded(List<Tensor> rows) {
    Tensor first = rows.getFirst();
    Tensor all =
        Tensor.full(
            first.backend(),
            0,
            first.dtype(),
            first.device(),
            rows.size(),
            longest(rows),
            first.size(1));
    for (int i = 0; i < rows.size(); i++) {
      all.select(0, i).narrow(0, 0, rows.get(i).size(0)).copyFrom(rows.get(i));
    }
    return all;
  }

  private @Nullable Tensor mask(List<Tensor> rows) {
    long longest = longest(rows);
    if (rows.stream().allMatch(row -> row.size(0) == longest)) {
      return null;
    }
    Tensor mask =
        Tensor.full(weights.backend(), 0, dtype, weights.device(), rows.size(), 1, 1, longest);
    for (int i = 0; i < rows.size(); i++) {
      long length = rows.get(i).size(0);
      if (length < longest) {
        weights.backend().fill(mask.select(0, i).narrow(2, length, longest - length), MASKED);
      }
    }
    return mask;
  }
}
