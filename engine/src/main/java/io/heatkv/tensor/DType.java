package io.heatkv.tensor;

import io.heatkv.error.UserException;

/** Element types of tensors. */
public enum DType {
  F32("fp32", 4),
  F64("fp64", 8),
  F16("fp16", 2),
  BF16("bf16", 2),
  I64("int64", 8),
  I32("int32", 4),
  U8("uint8", 1),
  BOOL("bool", 1),
  /** Complex numbers of two float32. */
  C64("complex64", 8);

  private final String label;
  private final int bytes;

  DType(String label, int bytes) {
    this.label = label;
    this.bytes = bytes;
  }

  /** Bytes of one element. */
  public int bytes() {
    return bytes;
  }

  /** Whether this is one of the floating-point types. */
  public boolean isFloating() {
    return this == F32 || this == F64 || this == F16 || this == BF16;
  }

  /**
   * Parses a compute type as users write it.
   *
   * @throws UserException if {@code text} is none of fp32, fp16, bf16
   */
  public static DType parseCompute(String text) {
    return switch (text) {
      case "fp32", "f32", "float32" -> F32;
      case "fp16", "f16", "float16" -> F16;
      case "bf16", "bfloat16" -> BF16;
      default ->
          throw new UserException("dtype '" + text + "' is unknown; expected fp32, bf16 or fp16");
    };
  }

  @Override
  public String toString() {
    return label;
  }
}
