package io.heatkv.infinity;

import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/**
 * What a transformer derives from the text once a pass: the same for all scales. Of each picture
 * the conditional row, then, with guidance, the unconditional one.
 */
public final class Condition implements AutoCloseable {
  /**
   * Adaptive parameters and text of one block.
   *
   * @param attentionGate gamma1 [rows, 1, width]
   * @param feedForwardGate gamma2 [rows, 1, width]
   * @param attentionGain 1 + scale1 [rows, width]
   * @param feedForwardGain 1 + scale2 [rows, width]
   * @param attentionShift shift1 [rows, width]
   * @param feedForwardShift shift2 [rows, width]
   * @param textKeys [rows, heads, text tokens, head_dim]
   * @param textValues same shape
   */
  record Block(
      Tensor attentionGate,
      Tensor feedForwardGate,
      Tensor attentionGain,
      Tensor feedForwardGain,
      Tensor attentionShift,
      Tensor feedForwardShift,
      Tensor textKeys,
      Tensor textValues) {
    Block each(UnaryOperator<Tensor> change) {
      return new Block(
          change.apply(attentionGate),
          change.apply(feedForwardGate),
          change.apply(attentionGain),
          change.apply(feedForwardGain),
          change.apply(attentionShift),
          change.apply(feedForwardShift),
          change.apply(textKeys),
          change.apply(textValues));
    }
  }

  private final Scope scope;
  private Tensor pooled;
  private Tensor shared;
  private Tensor headGain;
  private Tensor headShift;
  private List<Block> blocks;
  private @Nullable Tensor textMask;
  private @Nullable Places places;

  Condition(
      Scope scope,
      Tensor pooled,
      Tensor shared,
      Tensor headGain,
      Tensor headShift,
      List<Block> blocks,
      @Nullable Tensor textMask) {
    this.scope = scope;
    this.pooled = pooled;
    this.shared = shared;
    this.headGain = headGain;
    this.headShift = headShift;
    this.blocks = List.copyOf(blocks);
    this.textMask = textMask;
  }

  /** Pooled text [rows, width], float32: the start token without its position. */
  public Tensor pooled() {
    return pooled;
  }

  /** Output of the shared adaptive layer [rows, 1, 6, width], float32. */
  public Tensor shared() {
    return shared;
  }

  /** Rows of the batch, both guidance halves counted. */
  public int rows() {
    return Math.toIntExact(pooled.size(0));
  }

  Tensor headGain() {
    return headGain;
  }

  Tensor headShift() {
    return headShift;
  }

  Block block(int index) {
    return blocks.get(index);
  }

  /** Additive mask of padded text [rows, 1, 1, text tokens], or null where nothing is padded. */
  @Nullable Tensor textMask() {
    return textMask;
  }

  /** Where everything lies that blocks read; equal only if all of it lies there. */
  Object places() {
    Places known = places;
    if (known == null) {
      LongStream.Builder all = LongStream.builder();
      all.add(blocks.getFirst().textKeys().size(2));
      for (Block block : blocks) {
        block.each(x -> {
          all.add(x.address());
          return x;
        });
      }
      all.add(textMask == null ? 0 : textMask.address());
      known = new Places(all.build().toArray());
      places = known;
    }
    return known;
  }

  /** Addresses, compared at every small scale. */
  private static final class Places {
    private final long[] all;
    private final int hash;

    Places(long[] all) {
      this.all = all;
      hash = Arrays.hashCode(all);
    }

    @Override
    public boolean equals(@Nullable Object other) {
      return other instanceof Places places && Arrays.equals(all, places.all);
    }

    @Override
    public int hashCode() {
      return hash;
    }
  }

  /** The last rows take the place of those from {@code first} on, in place. */
  void removeRows(int first, int count) {
    UnaryOperator<Tensor> removal = x -> scope.adopt(Ops.removeRows(x, 0, first, count));
    places = null;
    try (Scope _ = Scope.open()) {
      pooled = removal.apply(pooled);
      shared = removal.apply(shared);
      headGain = removal.apply(headGain);
      headShift = removal.apply(headShift);
      blocks = blocks.stream().map(block -> block.each(removal)).toList();
      textMask = textMask == null ? null : removal.apply(textMask);
    }
  }

  @Override
  public void close() {
    scope.close();
  }
}
