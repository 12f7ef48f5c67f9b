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
import java.util.function.Consumer;

/** Gathers the largest error of one kind of value over many tensors. */
public final class Comparison {
  private final String name;
  private final double tolerance;
  private double largest;
  private long differing;
  private long compared;

  /**
   * @param name what is compared
   * @param tolerance largest absolute difference that is allowed
   */
  public Comparison(String name, double tolerance) {
    this.name = name;
    this.tolerance = tolerance;
  }

  /** Compares floating-point values with the recorded tensor of that name. */
  public void add(Tensor actual, Checkpoint recorded, String tensor) {
    add(
        actual.toDoubles(),
        values(actual.backend(), recorded, tensor),
        recorded.path() + ": tensor " + tensor);
  }

  /**
   * Compares floating-point values.
   *
   * @param what is recorded, for the message if the numbers of values differ
   */
  public void add(double[] actual, double[] expected, String what) {
    if (actual.length != expected.length) {
      throw otherModel(what, expected.length, actual.length);
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

  /** Compares values that must be equal. */
  public void addExact(Tensor actual, Checkpoint recorded, String tensor) {
    addBits(actual, recorded, tensor, Set.of());
  }

  /**
   * Compares bits, which must be equal but for the positions in {@code excused}.
   *
   * @return the bits to go on with: as recorded where excused, so that a near tie doesn't spread
   */
  public Tensor addBits(Tensor actual, Checkpoint recorded, String tensor, Set<Integer> excused) {
    byte[] own = actual.toBytes();
    byte[] expected = bytes(recorded, tensor);
    if (own.length != expected.length) {
      throw otherModel(recorded.path() + ": tensor " + tensor, expected.length, own.length);
    }
    long[] settled = new long[own.length];
    for (int i = 0; i < own.length; i++) {
      boolean free = excused.contains(i);
      if (own[i] != expected[i] && !free) {
        differing++;
      }
      settled[i] = free ? expected[i] : own[i];
    }
    compared += own.length;
    return Tensor.of(actual.backend(), settled, actual.shape()).to(actual.device());
  }

  /** Compares whole numbers of any type, which must be equal. */
  public void addEqual(Tensor actual, Checkpoint recorded, String tensor) {
    double[] own = actual.toDoubles();
    double[] expected = values(actual.backend(), recorded, tensor);
    if (own.length != expected.length) {
      throw otherModel(recorded.path() + ": tensor " + tensor, expected.length, own.length);
    }
    for (int i = 0; i < own.length; i++) {
      differing += own[i] == expected[i] ? 0 : 1;
    }
    compared += own.length;
  }

  private static UserException otherModel(String what, int recorded, int computed) {
    return new UserException(
        "%s has %d values, computed are %d; the recording belongs to another model"
            .formatted(what, recorded, computed));
  }

  /** Compares values that must be equal. */
  public void addExact(Object actual, Object expected) {
    differing += actual.equals(expected) ? 0 : 1;
    compared++;
  }

  /** Hands out the result if anything was compared. */
  public void report(Consumer<Check> checks) {
    if (compared > 0) {
      checks.accept(new Check(name, largest, tolerance, differing, compared));
    }
  }

  /** The recorded values. */
  public static double[] values(Backend backend, Checkpoint recorded, String tensor) {
    try (Scope _ = Scope.open()) {
      return Weights.wrap(backend, recorded.entry(tensor), recorded).toDoubles();
    }
  }

  private static byte[] bytes(Checkpoint recorded, String tensor) {
    if (recorded.entry(tensor).dtype() != StorageType.U8) {
      throw new UserException(recorded.path() + ": tensor " + tensor + " must be U8");
    }
    return recorded.entry(tensor).bytes().toArray(ValueLayout.JAVA_BYTE);
  }
}
