package io.heatkv.checkpoint;

import java.util.Optional;

/** PyTorch's names of element types: its dtypes, and its older classes of storages. */
final class TorchTypes {
  private TorchTypes() {}

  /** The type that {@code torch.NAME} stands for, or empty if it is neither. */
  static Optional<StorageType> named(String name) {
    return switch (name) {
      case "DoubleStorage", "float64" -> Optional.of(StorageType.F64);
      case "FloatStorage", "float32" -> Optional.of(StorageType.F32);
      case "HalfStorage", "float16" -> Optional.of(StorageType.F16);
      case "BFloat16Storage", "bfloat16" -> Optional.of(StorageType.BF16);
      case "LongStorage", "int64" -> Optional.of(StorageType.I64);
      case "IntStorage", "QInt32Storage", "int32" -> Optional.of(StorageType.I32);
      case "ShortStorage", "int16" -> Optional.of(StorageType.I16);
      case "CharStorage", "QInt8Storage", "int8" -> Optional.of(StorageType.I8);
      case "ByteStorage", "QUInt8Storage", "QUInt4x2Storage", "QUInt2x4Storage", "uint8" ->
          Optional.of(StorageType.U8);
      case "BoolStorage", "bool" -> Optional.of(StorageType.BOOL);
      case "uint64" -> Optional.of(StorageType.U64);
      case "uint32" -> Optional.of(StorageType.U32);
      case "uint16" -> Optional.of(StorageType.U16);
      case "ComplexFloatStorage", "complex64" -> Optional.of(StorageType.C64);
      case "ComplexDoubleStorage", "complex128" -> Optional.of(StorageType.C128);
      case "float8_e4m3fn" -> Optional.of(StorageType.F8_E4M3);
      case "float8_e5m2" -> Optional.of(StorageType.F8_E5M2);
      case "float8_e8m0fnu" -> Optional.of(StorageType.F8_E8M0);
      case "float8_e4m3fnuz" -> Optional.of(StorageType.F8_E4M3FNUZ);
      case "float8_e5m2fnuz" -> Optional.of(StorageType.F8_E5M2FNUZ);
      default ->
          name.matches("complex32|float4_e2m1fn_x2|u?int[1-7]|bits[0-9x]+|qu?int(8|32|4x2|2x4)")
              ? Optional.of(StorageType.OPAQUE)
              : Optional.empty();
    };
  }
}
