package io.heatkv.verify;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.tensor.Scope;
import java.util.function.Consumer;

/** A reader as another jar would bring it: tensor twice must be twice the tensor once. */
public final class ForeignReader implements GoldenReader {
  static final String FILE = "foreign.safetensors";

  @Override
  public boolean isIn(Golden golden) {
    return golden.has(FILE);
  }

  @Override
  public void verify(Golden golden, Consumer<Check> checks) {
    Comparison comparison = new Comparison("twice", 1e-6);
    try (Checkpoint recorded = golden.open(FILE);
        Scope _ = Scope.open()) {
      comparison.add(golden.tensor(recorded, "once", 1).mul(2), recorded, "twice");
    }
    comparison.report(checks);
  }
}
