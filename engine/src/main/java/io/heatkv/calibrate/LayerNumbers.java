package io.heatkv.calibrate;

import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/** Numbers of the layers read all at once: a device needn't wait for each layer. */
final class LayerNumbers implements AutoCloseable {
  private final List<Tensor> layers = new ArrayList<>();
  private Scope scope = Scope.detached();

  /** Keeps the next layer's numbers; all layers have the same shape. */
  void add(Tensor numbers) {
    layers.add(scope.adopt(numbers));
  }

  /** The numbers of all layers, one after the other; then there are none. */
  double[] take() {
    try (Scope _ = Scope.open()) {
      return Ops.stack(0, layers.toArray(Tensor[]::new)).toDoubles();
    } finally {
      close();
      layers.clear();
      scope = Scope.detached();
    }
  }

  @Override
  public void close() {
    scope.close();
  }
}
