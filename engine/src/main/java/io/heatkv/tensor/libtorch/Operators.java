package io.heatkv.tensor.libtorch;

import io.heatkv.tensor.Operator;
import io.heatkv.tensor.Operator.Products;

/** Names for messages about functions that are called without the dispatcher. */
final class Operators {
  static final Operator ADD = Operator.of("add");
  static final Operator MUL = Operator.of("mul");
  static final Operator COPY = Operator.of("copy_");
  static final Operator GELU_ = Operator.of("gelu_");
  static final Operator ONEDNN_LINEAR =
      new Operator("mkldnn::_linear_pointwise", "", Products.NONE);

  private Operators() {}
}
