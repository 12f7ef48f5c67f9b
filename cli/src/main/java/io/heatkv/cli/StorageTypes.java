package io.heatkv.cli;

import io.heatkv.checkpoint.StorageType;
import io.heatkv.error.UserException;

/** Types that weights are kept in, as users write them. */
final class StorageTypes {
  private StorageTypes() {}

  /**
   * @throws UserException if it is none of bf16, fp32, fp16
   */
  static StorageType parse(String text) {
    return switch (text) {
      case "bf16" -> StorageType.BF16;
      case "fp32" -> StorageType.F32;
      case "fp16" -> StorageType.F16;
      default ->
          throw new UserException("dtype '" + text + "' is unknown; expected bf16, fp32 or fp16");
    };
  }
}
