package io.heatkv.tensor.libtorch;

import io.heatkv.tensor.Operator;

/** Names for messages about functions that are called without the dispatcher. */
final class Operators {
  static final Operator ADD = new Operator("aten::add", "", false);
  static final Operator MUL = new Operator("aten::mul", "", false);
  static final Operator COPY = new Operator("aten::copy_", "", false);

  private Operators() {}
}
