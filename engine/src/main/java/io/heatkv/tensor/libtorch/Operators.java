package io.heatkv.tensor.libtorch;

import io.heatkv.tensor.Operator;

/** Names for messages about functions that are called without the dispatcher. */
final class Operators {
  static final Operator ADD = Operator.of("add");
  static final Operator MUL = Operator.of("mul");
  static final Operator COPY = Operator.of("copy_");

  private Operators() {}
}
