package io.heatkv.checkpoint;

import java.util.Optional;

/**
 * How one element is stored, little-endian; the constants bear the names of the safetensors format.
 */
public enum StorageType {
  F64(8),
  F32(4),
  F16(2),
  BF16(2),
  I64(8),
  I32(4),
  I16(2),
  I8(1),
  U8(1),
  BOOL(1);

  private final int byteSize;

  StorageType(int byteSize) {
    this.byteSize = byteSize;
  }

  /** Bytes of one element. */
  public int byteSize() {
    return byteSize;
  }

  /** The type of that safetensors name, or empty if it is none that this engine reads. */
  public static Optional<StorageType> named(String name) {
    for (StorageType type : values()) {
      if (type.name().equals(name)) {
        return Optional.of(type);
      }
    }
    return Optional.empty();
  }

  /**
   * Bytes of a tensor of that shape in this type.
   *
   * @throws ArithmeticException if the product does not fit 63 bits, even where a later dimension
   *     is 0
   */
  public long bytesOf(long[] shape) {
    long elements = 1;
    for (long dimension : shape) {
      elements = Math.multiplyExact(elements, dimension);
    }
    return Math.multiplyExact(elements, (long) byteSize);
  }
}
