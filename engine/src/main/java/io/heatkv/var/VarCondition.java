package io.heatkv.var;

import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * What a transformer derives from the classes once a pass, all float32: the same for all scales. Of
 * each picture the conditional row, then, with guidance, the unconditional one.
 */
final class VarCondition implements AutoCloseable {
  /**
   * Adaptive parameters of one block.
   *
   * @param attentionGate gamma1 [rows, 1, width]
   * @param feedForwardGate gamma2 [rows, 1, width]
   * @param attentionGain 1 + scale1 [rows, width]
   * @param feedForwardGain 1 + scale2 [rows, width]
   * @param attentionShift shift1 [rows, width]
   * @param feedForwardShift shift2 [rows, width]
   */
  record Block(
      Tensor attentionGate,
      Tensor feedForwardGate,
      Tensor attentionGain,
      Tensor feedForwardGain,
      Tensor attentionShift,
      Tensor feedForwardShift) {
    Block each(UnaryOperator<Tensor> change) {
      return new Block(
          change.apply(attentionGate),
          change.apply(feedForwardGate),
          change.apply(attentionGain),
          change.apply(feedForwardGain),
          change.apply(attentionShift),
          change.apply(feedForwardShift));
    }
  }

  private final Scope scope;
  private Tensor classes;
  private Tensor headGain;
  private Tensor headShift;
  private List<Block> blocks;

  /**
   * @param scope of all tensors
   * @param classes embeddings [rows, width]
   * @param headGain 1 + scale of the norm before the head [rows, width]
   * @param headShift its shift [rows, width]
   */
  VarCondition(Scope scope, Tensor classes, Tensor headGain, Tensor headShift, List<Block> blocks) {
    this.scope = scope;
    this.classes = classes;
    this.headGain = headGain;
    this.headShift = headShift;
    this.blocks = List.copyOf(blocks);
  }

  /** Embedded classes [rows, width]. */
  Tensor classes() {
    return classes;
  }

  /** Rows of the batch. */
  int rows() {
    return Math.toIntExact(classes.size(0));
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

  /** The last rows take the place of those from {@code first} on, in place. */
  void removeRows(int first, int count) {
    UnaryOperator<Tensor> removal = x -> scope.adopt(Ops.removeRows(x, 0, first, count));
    try (Scope _ = Scope.open()) {
      classes = removal.apply(classes);
      headGain = removal.apply(headGain);
      headShift = removal.apply(headShift);
      blocks = blocks.stream().map(block -> block.each(removal)).toList();
    }
  }

  @Override
  public void close() {
    scope.close();
  }
}
