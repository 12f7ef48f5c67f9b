package io.heatkv.tensor;

/**
 * An operator of the ATen library.
 *
 * @param name such as {@code aten::linear}
 * @param overload such as {@code Tensor}, or empty
 * @param isThreaded whether it spreads matrix products over its own threads, so that on the CPU
 *     each of these must run on one
 */
public record Operator(String name, String overload, boolean isThreaded) {
  /** The operator {@code aten::name} without an overload name. */
  public static Operator of(String name) {
    return of(name, "");
  }

  static Operator of(String name, String overload) {
    return new Operator("aten::" + name, overload, false);
  }

  static Operator threaded(String name) {
    return new Operator("aten::" + name, "", true);
  }

  @Override
  public String toString() {
    return overload.isEmpty() ? name : name + "." + overload;
  }
}
