package io.heatkv.tensor;

import org.jspecify.annotations.Nullable;

/**
 * Steps of a transformer block that devices run differently: chains of elementwise operators as one
 * pass over memory, and attention by the kernel that is fastest there.
 *
 * <p>{@link PlainOps} composes them of {@link Ops}; it is the CPU's implementation and the
 * definition of what the others compute. All arithmetic but attention's is float32.
 */
public interface DeviceOps {
  /**
   * Begins to make ready what layers of a compute type and heads need, beside other work such as
   * loading their weights. Nothing needs this call; without it the first use waits.
   */
  default void prepare(DType dtype, int headDim) {}

  /**
   * Adds a branch to the residual stream: {@code x <- x + y gate}.
   *
   * @param x [rows, tokens, width], float32
   * @param y same shape, compute type
   * @param gate [rows, 1, width], float32; null for 1
   */
  void addGated(Tensor x, Tensor y, @Nullable Tensor gate);

  /**
   * {@code layerNorm(x) gain + shift}.
   *
   * @param x [rows, tokens, width], float32
   * @param gain [rows, width] or [width], float32
   * @param shift same shape as gain
   * @param dtype of the result
   */
  Tensor norm(Tensor x, Tensor gain, Tensor shift, double eps, DType dtype);

  /** {@link #addGated}, then {@link #norm} of the sum in y's type. */
  Tensor addNorm(Tensor x, Tensor y, @Nullable Tensor gate, Tensor gain, Tensor shift, double eps);

  /** {@code x W^T + b}; x [..., in], weight [out, in], bias [out]. */
  Tensor linear(Tensor x, Tensor weight, Tensor bias);

  /** {@code gelu(x W^T + b)}, tanh approximation; x [..., in], weight [out, in], bias [out]. */
  Tensor linearGelu(Tensor x, Tensor weight, Tensor bias);

  /**
   * Splits a projection into heads; queries and keys are normalised, scaled and rotated. Where they
   * aren't placed, the results may lie in the projection, which they overwrite.
   *
   * @param projected queries, keys, values [rows, tokens, 3, heads, head_dim]
   * @param factors of queries and keys [2, heads], float32
   * @param positions rotary table [tokens, head_dim / 2], complex numbers
   * @param normalise whether queries and keys are divided by their L2 norm before
   * @param place where keys and values are written, or null for anywhere
   */
  Heads splitHeads(
      Tensor projected, Tensor factors, Tensor positions, boolean normalise, @Nullable Place place);

  /**
   * Where tokens are stored: views, in which channels and then tokens lie one after another.
   *
   * @param keys [rows, heads, tokens, head_dim]
   * @param values same shape and strides
   */
  record Place(Tensor keys, Tensor values) {}

  /**
   * What self-attention works on, each [rows, heads, tokens, head_dim].
   *
   * @param q queries
   * @param k keys
   * @param v values
   */
  record Heads(Tensor q, Tensor k, Tensor v) {}

  /**
   * Stores tokens: entries from {@code start} on of {@code keys} and {@code values}.
   *
   * @param keys [rows, heads, entries, head_dim]; may be a view
   * @param values same shape and strides
   * @param k [rows, heads, tokens, head_dim]
   * @param v same shape
   */
  void append(Tensor keys, Tensor values, long start, Tensor k, Tensor v);

  /** [rows, heads, tokens, head_dim] to [rows, tokens, heads head_dim]. */
  Tensor joinHeads(Tensor attended);

  /** Softmax attention; q [b, h, n, d], k and v [b, h, m, d]. Returns [b, h, n, d]. */
  Tensor attention(Tensor q, Tensor k, Tensor v, double scale);

  /** As {@link #attention}, with the log-sum-exp of each query's scaled scores [b, h, n]. */
  Ops.AttentionParts attentionWithLse(Tensor q, Tensor k, Tensor v, double scale);

  /**
   * Attention over earlier keys and the current ones together, which need not be joined in memory.
   *
   * @param q [b, h, n, d], k and v of the current scale [b, h, n, d]
   * @param earlierKeys [b, h, m, d]
   * @param earlierValues same shape
   */
  Tensor attentionOverBoth(
      Tensor q, Tensor k, Tensor v, Tensor earlierKeys, Tensor earlierValues, double scale);

  /** As {@link #attentionOverBoth}, with the log-sum-exp of each query's scaled scores. */
  Ops.AttentionParts attentionOverBothWithLse(
      Tensor q, Tensor k, Tensor v, Tensor earlierKeys, Tensor earlierValues, double scale);

  /** Whether {@link #attentionOverBoth} copies earlier and current keys into one tensor first. */
  boolean joinsKeys();

  /**
   * Attention over what each head retained of earlier scales and all current keys.
   *
   * @param q [b, h, n, d], k and v of the current scale [b, h, n, d]
   * @param retained keys and values, head after head [2, b, sum of lengths, d]
   * @param ranges where each head's entries lie
   */
  Tensor attentionOverRetained(
      Tensor q, Tensor k, Tensor v, Tensor retained, HeadRanges ranges, double scale);

  /**
   * As {@link #attentionOverRetained}, of what lies in slots of an arena.
   *
   * @param arena [2, b, capacity, d]; rows lie together, keys and values may lie apart
   * @param slots int64 [sum of lengths], head after head
   */
  default Tensor attentionOverSlots(
      Tensor q, Tensor k, Tensor v, Tensor arena, Tensor slots, HeadRanges ranges, double scale) {
    try (Scope scope = Scope.open()) {
      return scope.keep(attentionOverRetained(q, k, v, gatherSlots(arena, slots), ranges, scale));
    }
  }

  /**
   * Column sums of the attention matrix: the softmax attention that all queries together pay to
   * each key. Scores are {@code q k^T} without further scaling.
   *
   * @param q [b, h, n, d], at least one query
   * @param k of the current scale [b, h, m, d]
   * @param earlier keys [b, h, e, d]; null for none
   * @param lse log-sum-exp of each query's scores [b, h, n], if it is known
   * @return float32 [b, h, e + m]: earlier keys, then current ones
   */
  Tensor columnSums(Tensor q, Tensor k, @Nullable Tensor earlier, @Nullable Tensor lse);

  /** Whether {@link #columnSums} of such queries is faster where their log-sum-exp is known. */
  default boolean sumsByLse(Tensor q) {
    return false;
  }

  /**
   * Where entries that stay go among the slots of their head.
   *
   * <p>Attention depends on its order to the last bit, so the order is the picture's own: what its
   * first row keeps comes first, in the order of its slots; in its other rows entries whose slots'
   * content the first row keeps stay beside these, then come those that it drops, as far as there
   * is room; the other entries fill the gaps in the order of {@code kept}.
   *
   * @param kept entries of each head, below {@code held} those of its slots, int64 [rows, heads,
   *     quota]; by ascending token, which is by ascending entry in pictures of one row
   * @param pictureRows rows of a picture
   * @param held entries before
   * @param count entries before and new ones
   * @param numbers from 0 on, float64, more than {@code count} and at least rows * heads
   */
  Arranged arrange(Tensor kept, int pictureRows, int held, int count, Tensor numbers);

  /**
   * What goes where, int64.
   *
   * @param places slots of what is kept, as numbers among those of its head, of the same shape;
   *     null where they are in order, in pictures of one row or if nothing was held
   * @param entries of each slot what it gets, numbered through all heads of all rows [rows * heads
   *     * quota]
   */
  record Arranged(@Nullable Tensor places, Tensor entries) {}

  /**
   * Entries of an arena at the given slots.
   *
   * @param arena [2, rows, capacity, head_dim]; rows lie together, keys and values may lie apart
   * @param slots int64 [count]
   * @return [2, rows, count, head_dim]
   */
  Tensor gatherSlots(Tensor arena, Tensor slots);

  /**
   * Writes all tokens of some heads into slots of an arena, head after head.
   *
   * @param arena [2, rows, capacity, head_dim]: keys, values; as {@link #gatherSlots} takes it
   * @param slots int64 [heads written * tokens]
   * @param heads written, int64, ascending
   * @param k [rows, heads, tokens, head_dim]
   * @param v same shape
   */
  void scatterSlots(Tensor arena, Tensor slots, Tensor heads, Tensor k, Tensor v);

  /**
   * Puts other entries into the slots of heads: some of those that they held, some of the current
   * tokens.
   *
   * @param arena [2, rows, capacity, head_dim]: keys, values; as {@link #gatherSlots} takes it
   * @param slots int64 [heads * kept], head after head, the same in all rows
   * @param entries int64, of each slot what it gets: of the held and the current entries of one
   *     head after the other, in one row for all rows [heads * kept] or row after row
   * @param held what was held, head after head [2, rows, heads * held, head_dim]; null for nothing
   * @param k [rows, heads, tokens, head_dim]
   * @param v same shape
   */
  void replaceSlots(
      Tensor arena, Tensor slots, Tensor entries, @Nullable Tensor held, Tensor k, Tensor v);

  /**
   * A layer's step with an arena of stored maps: attention over those that it reads and all current
   * keys, where an entry that stands for n tokens has log n added to its score; then maps are
   * encoded again, all of them decoded before the first is written; then current keys and values
   * are stored.
   *
   * @param q [b, h, n, d], k and v of the current scale [b, h, n, d]
   * @param arena uint8 [rows, granules, d / 2], at least b rows; rows lie together
   * @param tables numbers of {@link StoredStep.Tables}, int32, on the device; the CPU reads none
   * @return attention [b, h, n, d]
   */
  Tensor attendAndStore(
      Tensor q, Tensor k, Tensor v, Tensor arena, StoredStep step, Tensor tables, double scale);

  /**
   * Bytes that {@link #attendAndStore} copies keys and values to.
   *
   * @param k [b, h, n, d]
   */
  long workspace(Tensor k, StoredStep step);

  /**
   * Entries in 8 bits, each followed by its step in half precision: {@code x = step q}.
   *
   * @param x [..., d]
   * @return uint8 [..., d + 2]
   */
  Tensor quantise(Tensor x);

  /**
   * Reads what {@link #quantise} wrote.
   *
   * @param bytes uint8 [..., d + 2]
   * @return [..., d]
   */
  Tensor dequantise(Tensor bytes, DType dtype);

  /**
   * What measures levels of maps by kernels; null where there are none for the type and the heads,
   * so that operators have to.
   *
   * @param storage owns what is kept
   */
  default @Nullable LevelMoves levelMoves(
      LevelMoves.Maps maps, DType dtype, int headDim, Scope storage) {
    return null;
  }

  /**
   * Group norm of a picture's maps, laid out as they are.
   *
   * @param x [n, channels, h, w], compute type
   * @param groups of channels, each normed over all its positions
   * @param weight [channels], compute type
   * @param bias [channels], compute type
   * @param silu whether to return SiLU of it
   */
  Tensor groupNorm(Tensor x, int groups, Tensor weight, Tensor bias, double eps, boolean silu);

  /**
   * A convolution's weight in the layout in which convolutions of its type are fastest; what they
   * return is laid out so too.
   *
   * @param weight [out, in, k, k]
   */
  default Tensor convolutionWeight(Tensor weight) {
    return weight;
  }

  /**
   * Draws uniforms on the device, where it can, bit for bit those of a host: number b of token n of
   * a picture is word {@code b mod 4} of Philox4x32-10 with key {@code (low, high word of seed)}
   * and counter {@code (b / 4, n, scale, 0)}, its upper 24 bits scaled to [0, 1).
   *
   * @param out [pictures, tokens, symbols], float32, row-major
   * @param seeds one of each picture
   * @return false if nothing was drawn
   */
  default boolean drawUniforms(Tensor out, long[] seeds, int scale) {
    return false;
  }

  /**
   * What runs work of a model that comes again, until it is closed.
   *
   * @param bytes of a recording's tensors at most, a multiple of 512
   */
  default Repeats repeats(long bytes) {
    return Repeats.NONE;
  }

  /** What runs the steps, for reports. */
  String description();
}
