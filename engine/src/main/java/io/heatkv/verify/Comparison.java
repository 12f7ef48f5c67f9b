package io.heatkv.verify;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.error.UserException;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.weights.Weights;
import java.lang.foreign.ValueLayout;
import java.util.Set;

/** Gathers the largest error of one kind of value over many tensors. */
final class Comparison {
  private final String name;
  private final double tolerance;
  private double largest;
  private long differing;
  private long compared;

  Comparison(String name, double tolerance) {
    this.name = name;
    this.tolerance = tolerance;
  }

  /** Compares floating-point values with the recorded tensor of that name. */
  void add(Tensor actual, Checkpoint recorded, String tensor) {
    add(actual.toDoubles(), values(actual.backend(), recorded, tensor), tensor);
  }

  void add(double[] actual, double[] expected, String what) {
    if (actual.length != expected.length) {
      throw new UserException(
          name
              + ": "
              + what
              + " has "
              + expected.length
              + " recorded values, computed are "
              + actual.length
              + "; the golden file belongs to another model");
    }
    for (int i = 0; i < actual.length; i++) {
      double error = Math.abs(actual[i] - expected[i]);
      if (Double.isNaN(actual[i]) && Double.isNaN(expected[i])) {
        error = 0;
      }
      // NaN wins and stays.
      largest =
          Double.isNaN(error) || Double.isNaN(largest) ? Double.NaN : Math.max(largest, error);
    }
    compared += actual.length;
  }

  /** Compares values that must be equal; positions in {@code excused} may differ. */
  void addExact(byte[] actual, Checkpoint recorded, String tensor, Set<Integer> excused) {
    byte[] expected = bytes(recorded, tensor);
    if (actual.length != expected.length) {
      throw new UserException(
          recorded.path()
              + ": tensor "
              + tensor
              + " has "
              + expected.length
              + " values, computed are "
              + actual.length);
    }
    for (int i = 0; i < actual.length; i++) {
      if (actual[i] != expected[i] && !excused.contains(i)) {
        differing++;
      }
    }
    compared += actual.length;
  }

  Check result() {
    return new Check(name, largest, tolerance, differing, compared);
  }

  static double[] values(Backend backend, Checkpoint recorded, String tensor) {
    try (Scope _ = Scope.open()) {
      return Weights.wrap(backend, recorded.entry(tensor), recorded).toDoubles();
    }
  }

  static byte[] bytes(Checkpoint recorded, String tensor) {
    if (recorded.entry(tensor).dtype() != StorageType.U8) {
      throw new UserException(recorded.path() + ": tensor " + tensor + " must be U8");
    }
    return recorded.entry(tensor).bytes().toArray(ValueLayout.JAVA_BYTE);
  }
}
