package io.heatkv.var;

import io.heatkv.cache.KvCache;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.KeyCheck;
import io.heatkv.family.ScaleObserver;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Scratch;
import io.heatkv.tensor.Tensor;
import io.heatkv.weights.Linear;
import io.heatkv.weights.Weights;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * VAR's transformer: from the codes of the scales so far to the logits of the next.
 *
 * <p>Linear layers compute in {@link #dtype()}; norms, the residual stream and what leaves it are
 * float32, as the official demo's autocast places them.
 */
final class VarTransformer implements AutoCloseable {
  private final VarConfig config;
  private final DType dtype;
  private final Weights weights;
  private final Tensor classes;
  private final Tensor start;
  // [tokens of all scales, width]
  private final Tensor positions;
  // [tokens of the last scale, head_dim / 2], complex: VAR has no rotary positions
  private final Tensor unturned;
  private final Linear wordEmbed;
  private final Optional<Linear> sharedAdaptive;
  private final List<Tensor> offsets = new ArrayList<>();
  private final List<Linear> adaptive = new ArrayList<>();
  private final List<VarBlock> blocks = new ArrayList<>();
  private final Linear headAdaptive;
  private final Linear head;

  /**
   * Takes the weights from {@code checkpoint}, which must stay open meanwhile.
   *
   * @throws io.heatkv.error.UserException if a weight is missing, unexpected or of another shape
   */
  public VarTransformer(
      VarConfig config, Checkpoint checkpoint, Backend backend, Device device, DType dtype) {
    this.config = config;
    this.dtype = dtype;
    Checkpoint own = VarKeys.weights(checkpoint);
    KeyCheck.compare(own, VarKeys.shapes(config)).requireExact();
    weights = new Weights(own, backend, device);
    try {
      backend.ops(device).prepare(dtype, config.headDim());
      classes = weights.get("class_emb.weight", DType.F32);
      start = weights.get("pos_start", DType.F32);
      positions = positions();
      unturned = unturned();
      wordEmbed = Linear.load(weights, "word_embed", dtype);
      sharedAdaptive =
          config.sharedAdaptive()
              ? Optional.of(Linear.load(weights, "shared_ada_lin.1", dtype))
              : Optional.empty();
      for (int i = 0; i < config.depth(); i++) {
        String prefix = VarKeys.block(i);
        if (config.sharedAdaptive()) {
          offsets.add(weights.get(prefix + "ada_gss", DType.F32));
        } else {
          adaptive.add(Linear.load(weights, prefix + "ada_lin.1", dtype));
        }
        blocks.add(new VarBlock(config, i, dtype, weights));
      }
      headAdaptive = Linear.load(weights, "head_nm.ada_lin.1", dtype);
      head = Linear.load(weights, "head", dtype);
    } catch (RuntimeException e) {
      weights.close();
      throw e;
    }
  }

  /** A vector for every token and one for its scale, summed. */
  private Tensor positions() {
    long[] levels =
        IntStream.range(0, config.grids().count())
            .flatMap(t -> IntStream.range(0, config.grids().tokens(t)).map(_ -> t))
            .asLongStream()
            .toArray();
    try (Scope _ = Scope.open()) {
      Tensor level = Tensor.of(weights.backend(), levels, levels.length).to(weights.device());
      return weights.adopt(
          Ops.embedding(weights.get("lvl_embed.weight", DType.F32), level)
              .add(weights.get("pos_1LC", DType.F32).select(0, 0)));
    }
  }

  private Tensor unturned() {
    int tokens = config.grids().last().tokens();
    float[] ones = new float[tokens * config.headDim()];
    for (int i = 0; i < ones.length; i += 2) {
      ones[i] = 1;
    }
    try (Scope _ = Scope.open()) {
      return weights.adopt(Ops.asComplex(weights.constant(ones, tokens, config.headDim() / 2, 2)));
    }
  }

  public VarConfig config() {
    return config;
  }

  /** Compute type of the linear layers. */
  public DType dtype() {
    return dtype;
  }

  public Backend backend() {
    return weights.backend();
  }

  public Device device() {
    return weights.device();
  }

  /**
   * Derives what blocks and head need.
   *
   * @param rows class of every row; the number of classes for none
   */
  VarCondition condition(long[] rows) {
    Scope kept = Scope.detached();
    try (Scope _ = Scope.open()) {
      Tensor indices = Tensor.of(backend(), rows, rows.length).to(device());
      Tensor embedded = Ops.embedding(classes, indices);
      Tensor active = Ops.silu(embedded).to(dtype);
      Optional<Tensor> shared =
          sharedAdaptive.map(
              layer -> layer.apply(active).to(DType.F32).reshape(-1, 1, 6, config.width()));
      List<VarCondition.Block> parameters = new ArrayList<>();
      for (int i = 0; i < config.depth(); i++) {
        try (Scope _ = Scope.open()) {
          Tensor six =
              shared.isPresent()
                  ? offsets.get(i).add(shared.get())
                  : adaptive.get(i).apply(active).to(DType.F32).reshape(-1, 1, 6, config.width());
          parameters.add(block(six, kept));
        }
      }
      Tensor last = headAdaptive.apply(active).to(DType.F32).reshape(-1, 2, config.width());
      return new VarCondition(
          kept,
          kept.adopt(embedded),
          kept.adopt(last.select(1, 0).add(1)),
          kept.adopt(last.select(1, 1).contiguous()),
          parameters);
    } catch (RuntimeException | Error e) {
      kept.close();
      throw e;
    }
  }

  /** In the official code's order: gamma1, gamma2, scale1, scale2, shift1, shift2. */
  private VarCondition.Block block(Tensor six, Scope kept) {
    Tensor parts = six.permute(2, 0, 1, 3).contiguous();
    long rows = six.size(0);
    return new VarCondition.Block(
        kept.adopt(parts.select(0, 0)),
        kept.adopt(parts.select(0, 1)),
        kept.adopt(parts.select(0, 2).reshape(rows, config.width()).add(1)),
        kept.adopt(parts.select(0, 3).reshape(rows, config.width()).add(1)),
        kept.adopt(parts.select(0, 4).reshape(rows, config.width())),
        kept.adopt(parts.select(0, 5).reshape(rows, config.width())));
  }

  /**
   * The input of block 0 at a scale, positions included: [rows, tokens, width], float32.
   *
   * @param codes what is drawn so far, at this scale's size [pictures, tokens, channels]; null at
   *     scale 0
   */
  Tensor embed(VarCondition condition, int scale, @Nullable Tensor codes) {
    try (Scope scope = Scope.open()) {
      Tensor x;
      if (codes == null) {
        x = condition.classes().unsqueeze(1).add(start);
      } else {
        Tensor words = wordEmbed.apply(codes.to(dtype)).to(DType.F32);
        int repeats = Math.toIntExact(condition.rows() / words.size(0));
        // All rows of a picture, which lie together, begin with the same codes.
        x =
            Ops.cat(1, Collections.nCopies(repeats, words.reshape(words.size(0), -1)))
                .reshape(condition.rows(), words.size(1), words.size(2));
      }
      int first = config.grids().offset(scale);
      return scope.keep(x.add(positions.narrow(0, first, config.grids().tokens(scale))));
    }
  }

  /**
   * Runs the blocks, in place, and the head.
   *
   * @param x input of block 0 [rows, tokens, width]
   * @param cache keys and values of earlier scales
   * @return logits [rows, tokens, entries], float32
   */
  Tensor logits(
      Tensor x, VarCondition condition, int scale, KvCache cache, ScaleObserver observer) {
    Tensor turns = unturned.narrow(0, 0, x.size(1));
    VarCondition.Block first = condition.block(0);
    try (Scratch _ = Scratch.open()) {
      Tensor normed =
          backend()
              .ops(device())
              .norm(x, first.attentionGain(), first.attentionShift(), VarConfig.EPSILON, dtype);
      for (int i = 0; i < blocks.size(); i++) {
        boolean isLast = i == blocks.size() - 1;
        Tensor gain = isLast ? condition.headGain() : condition.block(i + 1).attentionGain();
        Tensor shift = isLast ? condition.headShift() : condition.block(i + 1).attentionShift();
        try (Scope scope = Scope.open()) {
          normed =
              scope.keep(
                  blocks
                      .get(i)
                      .apply(x, normed, condition, scale, turns, cache, observer, gain, shift));
        }
      }
      try (Scope scope = Scope.open()) {
        return scope.keep(head.apply(scope.adopt(normed)).to(DType.F32));
      }
    }
  }

  @Override
  public void close() {
    weights.close();
  }
}
