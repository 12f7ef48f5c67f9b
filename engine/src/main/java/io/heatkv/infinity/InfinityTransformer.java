package io.heatkv.infinity;

import io.heatkv.cache.KvCache;
import io.heatkv.cache.KvMemory;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.KeyCheck;
import io.heatkv.family.ScaleObserver;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Repeats;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Scratch;
import io.heatkv.tensor.Tensor;
import io.heatkv.weights.Linear;
import io.heatkv.weights.Weights;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Infinity's transformer: from the codes of the scales so far to the bit logits of the next.
 *
 * <p>Blocks compute in {@link #dtype()}; norms, adaptive parameters, the residual stream and the
 * logits are float32, as the official code places them under autocast.
 */
public final class InfinityTransformer implements AutoCloseable {
  // Tokens of all rows up to which the host takes longer than the device.
  private static final long MOST_RECORDED = 1024;
  // Float32 numbers of a token that lie beside each other in a block, in widths.
  private static final int RECORDED_WIDTHS = 6;
  // Of the device's memory, as its driver told for graphs of 32 blocks.
  private static final long GRAPH_BYTES = 40 << 10;

  private final TransformerConfig config;
  private final DType dtype;
  private final Weights weights;
  private final TextConditioner conditioner;
  private final List<Block> blocks = new ArrayList<>();
  private final Tensor startPosition;
  private final Tensor levels;
  private final Linear wordEmbed;
  private final Linear head;
  private final Repeats repeats;
  private @Nullable ScaleGrids rotaryGrids;
  private float @Nullable [] rotaryTable;

  /**
   * Takes the weights from {@code checkpoint}, which must stay open meanwhile.
   *
   * @throws io.heatkv.error.UserException if a weight is missing, unexpected or of another shape
   */
  public InfinityTransformer(
      TransformerConfig config,
      Checkpoint checkpoint,
      Backend backend,
      Device device,
      DType dtype) {
    this.config = config;
    this.dtype = dtype;
    KeyCheck.compare(
            checkpoint, TransformerKeys.shapes(config, TransformerKeys.poolHeads(checkpoint)))
        .requireExact();
    weights = new Weights(checkpoint, backend, device);
    try {
      backend.ops(device).prepare(dtype, config.headDim());
      conditioner = new TextConditioner(config, dtype, weights);
      for (int i = 0; i < config.depth(); i++) {
        blocks.add(new Block(config, i, dtype, weights));
      }
      startPosition = weights.get("pos_start", DType.F32);
      levels = weights.get(TransformerKeys.SCALES, DType.F32);
      wordEmbed = Linear.load(weights, "word_embed", DType.F32);
      head = Linear.load(weights, "head", DType.F32);
      weights.await();
      repeats = backend.ops(device).repeats(tensorBytes(config));
    } catch (RuntimeException e) {
      weights.close();
      throw e;
    }
  }

  public TransformerConfig config() {
    return config;
  }

  /** Compute type of the blocks. */
  public DType dtype() {
    return dtype;
  }

  /** The most scales that a picture can have: each has a learned embedding. */
  public int maxScales() {
    return Math.toIntExact(levels.size(0));
  }

  public Backend backend() {
    return weights.backend();
  }

  public Device device() {
    return weights.device();
  }

  /** The learned features of no prompt, cut to {@code tokens}: [tokens, text channels]. */
  public Tensor unconditional(long tokens) {
    return conditioner.unconditional(tokens);
  }

  /**
   * Derives what blocks and head need from the text of every row.
   *
   * @param features of each row [text tokens, text channels]; lengths may differ
   */
  public Condition condition(List<Tensor> features) {
    return conditioner.condition(features);
  }

  /** Features of a prompt after the text norm [tokens, text channels], float32. */
  public Tensor normedText(Tensor features) {
    return conditioner.normed(features);
  }

  /** What cross-attention reads of normed features [tokens, width], float32. */
  public Tensor projectedText(Tensor normed) {
    return conditioner.projected(normed);
  }

  /** The rotary table of grids as complex numbers [tokens, head_dim / 2]. */
  public Tensor rotary(ScaleGrids grids) {
    float[] table = rotaryTable(grids);
    return Ops.asComplex(
        Tensor.of(backend(), table, grids.totalTokens(), config.headDim() / 2, 2).to(device()));
  }

  /** Sines take longer than a small scale, so that the last grids' table is kept. */
  private synchronized float[] rotaryTable(ScaleGrids grids) {
    if (rotaryTable == null || !grids.equals(rotaryGrids)) {
      rotaryTable =
          RotaryTable.build(grids, ScaleTemplate.of(grids), config.headDim(), config.rotary());
      rotaryGrids = grids;
    }
    return rotaryTable;
  }

  /**
   * The input of block 0 at scale {@code scale}, level embedding included: [rows, tokens, width].
   *
   * @param codes summed codes resized to this scale [pictures, tokens, bits], null at scale 0
   */
  public Tensor embed(Condition condition, int scale, @Nullable Tensor codes) {
    try (Scope scope = Scope.open()) {
      Tensor x;
      if (codes == null) {
        x = condition.pooled().unsqueeze(1).add(startPosition);
      } else {
        Tensor words = wordEmbed.apply(codes.to(DType.F32));
        int repeats = Math.toIntExact(condition.rows() / words.size(0));
        // All rows of a picture, which lie together, begin with the same codes.
        x =
            repeats == 1
                ? words
                // Flat, since libtorch joins four dimensions with channels innermost at times.
                : Ops.cat(1, Collections.nCopies(repeats, words.reshape(words.size(0), -1)))
                    .reshape(condition.rows(), words.size(1), words.size(2));
      }
      return scope.keep(config.levelEmbeddingOnce() ? x.add(levels.select(0, scale)) : x);
    }
  }

  /**
   * Runs the blocks in place.
   *
   * @param x input of block 0 [rows, tokens, width]
   * @param positions rotary table of this scale [tokens, head_dim / 2], complex
   * @param cache keys and values of earlier scales
   * @param guidance applied to the outputs of some blocks
   */
  void blocks(
      Tensor x,
      Condition condition,
      int scale,
      Tensor positions,
      KvCache cache,
      LayerGuidance guidance,
      ScaleObserver observer) {
    Object key =
        observer.equals(ScaleObserver.NONE) && isRepeatable(x, guidance)
            ? repeatKey(x, condition, scale, positions, cache)
            : null;
    KvMemory memory =
        repeats.run(
            key,
            x,
            (changed, next) -> {
              run(changed, condition, scale, positions, cache, guidance, observer, next);
              return cache.memory();
            });
    if (key != null) {
      cache.repeated(memory);
    }
  }

  /** Bytes that recordings take of a CUDA device at most. */
  public static long recordedBytes(TransformerConfig config) {
    return tensorBytes(config) + (long) Repeats.CAPACITY * config.depth() * GRAPH_BYTES;
  }

  private static long tensorBytes(TransformerConfig config) {
    return MOST_RECORDED * RECORDED_WIDTHS * config.width() * DType.F32.bytes();
  }

  /** Whether the blocks may be own kernels and products only, and the host takes longer. */
  private boolean isRepeatable(Tensor x, LayerGuidance guidance) {
    return x.size(0) * x.size(1) <= MOST_RECORDED
        && config.levelEmbeddingOnce()
        && guidance.changesNothing();
  }

  private static @Nullable Object repeatKey(
      Tensor x, Condition condition, int scale, Tensor positions, KvCache cache) {
    Object stored = cache.repeatKey(scale);
    return stored == null
        ? null
        : new Repeated(
            scale, x.size(0), x.size(1), positions.address(), condition.places(), stored);
  }

  /** What kernels of all blocks at a scale are given, besides weights. */
  private record Repeated(
      int scale, long rows, long tokens, long positions, Object condition, Object stored) {}

  private void run(
      Tensor x,
      Condition condition,
      int scale,
      Tensor positions,
      KvCache cache,
      LayerGuidance guidance,
      ScaleObserver observer,
      Runnable nextPart) {
    try (Scratch _ = Scratch.open();
        Scope _ = Scope.open()) {
      Tensor normed = null;
      for (int i = 0; i < blocks.size(); i++) {
        try (Scope scope = Scope.open()) {
          if (isEmbeddedBefore(i)) {
            Ops.addInPlace(x, levels.select(0, scale));
          }
          int fromEnd = i - config.depth();
          boolean leadsOn =
              i + 1 < blocks.size() && !isEmbeddedBefore(i + 1) && !guidance.changes(fromEnd);
          Tensor next =
              blocks.get(i).apply(x, normed, leadsOn, condition, scale, positions, cache, observer);
          guidance.apply(fromEnd, x);
          normed = next == null ? null : scope.keep(next);
        }
        if (endsPart(i + 1)) {
          nextPart.run();
        }
      }
    }
  }

  /**
   * Whether the device is to begin with the blocks before, of which there are so many: the first of
   * them at once, and always enough of them to be busy while it is told of the next.
   */
  private boolean endsPart(int count) {
    return count < blocks.size() && (count == 1 || count == 4 || count == 16);
  }

  /** Whether the level embedding is added to what a block reads. */
  private boolean isEmbeddedBefore(int block) {
    return !config.levelEmbeddingOnce() && block % (config.depth() / config.chunks()) == 0;
  }

  /** Bit logits of every row [rows, tokens, 2 bits], float32; index 2 channel + bit. */
  public Tensor logits(Tensor x, Condition condition) {
    return head.apply(
        backend()
            .ops(device())
            .norm(x, condition.headGain(), condition.headShift(), config.epsilon(), DType.F32));
  }

  @Override
  public void close() {
    repeats.close();
    weights.close();
  }
}
