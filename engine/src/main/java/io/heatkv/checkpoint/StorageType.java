package io.heatkv.checkpoint;

import java.util.Optional;

/**
 * How one element is stored, little-endian; the constants bear the names of the safetensors format.
 * Files may hold tensors of any of them; those behind BOOL can only be listed and passed on.
 */
public enum StorageType {
  F64(64),
  F32(32),
  F16(16),
  BF16(16),
  I64(64),
  I32(32),
  I16(16),
  I8(8),
  U8(8),
  BOOL(8),
  U64(64),
  U32(32),
  U16(16),
  C64(64),
  F8_E4M3(8),
  F8_E5M2(8),
  F8_E8M0(8),
  F8_E4M3FNUZ(8),
  F8_E5M2FNUZ(8),
  F6_E2M3(6),
  F6_E3M2(6),
  F4(4),
  /** Complex float64, PyTorch's alone. */
  C128(128),
  /** What doesn't lie in a file as plain elements: sparse, quantised or without data. */
  OPAQUE(0);

  private final int bits;

  StorageType(int bits) {
    this.bits = bits;
  }

  /** Bytes of one element, rounded up where several elements share a byte. */
  public int byteSize() {
    return (bits + 7) / 8;
  }

  /** The type of that safetensors name, or empty if there is none. */
  public static Optional<StorageType> named(String name) {
    for (StorageType type : values()) {
      if (type.ordinal() < C128.ordinal() && type.name().equals(name)) {
        return Optional.of(type);
      }
    }
    return Optional.empty();
  }

  /**
   * Bytes of a tensor of that shape in this type.
   *
   * @throws ArithmeticException if the product does not fit 63 bits, even where a later dimension
   *     is 0, or ends within a byte
   */
  public long bytesOf(long[] shape) {
    long elements = 1;
    for (long dimension : shape) {
      elements = Math.multiplyExact(elements, dimension);
    }
    if (bits % Byte.SIZE == 0) {
      return Math.multiplyExact(elements, (long) byteSize());
    }
    long all = Math.multiplyExact(elements, (long) bits);
    if (all % Byte.SIZE != 0) {
      throw new ArithmeticException("ends within a byte");
    }
    return all / Byte.SIZE;
  }
}
