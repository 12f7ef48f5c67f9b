package io.heatkv.tensor;

/**
 * Where elements lie. Final fields: a thread that sees the object sees what is in the arrays.
 *
 * @param sizes of the dimensions
 * @param strides elements from one index of a dimension to the next
 */
record Layout(long[] sizes, long[] strides) {
  /** Elements one after another, the last dimension's first. */
  static Layout rowMajor(long[] sizes) {
    long[] strides = new long[sizes.length];
    long stride = 1;
    for (int i = sizes.length - 1; i >= 0; i--) {
      strides[i] = stride;
      stride *= Math.max(1, sizes[i]);
    }
    return new Layout(sizes.clone(), strides);
  }

  /** Elements of a shape. */
  static long count(long[] sizes) {
    long count = 1;
    for (long size : sizes) {
      count = Math.multiplyExact(count, size);
    }
    return count;
  }

  /** Whether elements lie row-major without gaps. */
  boolean isRowMajor() {
    long expected = 1;
    for (int i = sizes.length - 1; i >= 0 && expected > 0; i--) {
      if (sizes[i] > 1 && strides[i] != expected) {
        return false;
      }
      expected *= sizes[i];
    }
    return true;
  }

  /** Dimensions in another order. */
  Layout permuted(int[] from) {
    long[] newSizes = new long[from.length];
    long[] newStrides = new long[from.length];
    for (int i = 0; i < from.length; i++) {
      newSizes[i] = sizes[from[i]];
      newStrides[i] = strides[from[i]];
    }
    return new Layout(newSizes, newStrides);
  }

  /** Without a dimension. */
  Layout without(int at) {
    return new Layout(without(sizes, at), without(strides, at));
  }

  private static long[] without(long[] values, int at) {
    long[] rest = new long[values.length - 1];
    System.arraycopy(values, 0, rest, 0, at);
    System.arraycopy(values, at + 1, rest, at, rest.length - at);
    return rest;
  }

  /** With a dimension of size 1 more. */
  Layout with(int at) {
    long[] newSizes = new long[sizes.length + 1];
    long[] newStrides = new long[sizes.length + 1];
    for (int i = 0; i < newSizes.length; i++) {
      int from = i < at ? i : i - 1;
      newSizes[i] = i == at ? 1 : sizes[from];
      newStrides[i] = i == at ? 1 : strides[from];
    }
    return new Layout(newSizes, newStrides);
  }
}
