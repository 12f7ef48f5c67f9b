package io.heatkv.tensor;

/**
 * An operator of the ATen library.
 *
 * @param name such as {@code aten::linear}
 * @param overload such as {@code Tensor}, or empty
 */
public record Operator(String name, String overload) {
  static Operator of(String name) {
    return new Operator("aten::" + name, "");
  }

  static Operator of(String name, String overload) {
    return new Operator("aten::" + name, overload);
  }

  @Override
  public String toString() {
    return overload.isEmpty() ? name : name + "." + overload;
  }
}
