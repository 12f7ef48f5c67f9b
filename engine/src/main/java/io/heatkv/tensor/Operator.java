package io.heatkv.tensor;

/**
 * An operator of the ATen library.
 *
 * @param name such as {@code aten::linear}
 * @param overload such as {@code Tensor}, or empty
 * @param products how it uses the library of matrix products on the CPU
 */
public record Operator(String name, String overload, Products products) {
  /** Who calls the library of matrix products. */
  public enum Products {
    /** Nobody. */
    NONE,
    /** The operator, for a product that the library spreads over its threads. */
    WHOLE,
    /** Each of the operator's own threads, so that every product must run on one. */
    PARTS
  }

  /** The operator {@code aten::name} without an overload name. */
  public static Operator of(String name) {
    return of(name, "");
  }

  static Operator of(String name, String overload) {
    return new Operator("aten::" + name, overload, Products.NONE);
  }

  static Operator of(String name, Products products) {
    return new Operator("aten::" + name, "", products);
  }

  @Override
  public String toString() {
    return overload.isEmpty() ? name : name + "." + overload;
  }
}
