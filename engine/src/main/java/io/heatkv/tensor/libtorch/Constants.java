package io.heatkv.tensor.libtorch;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.TensorException;

/** libtorch's numbers for element types and devices, asked once. */
final class Constants {
  private final int[] dtypes;
  private final int[] devices;

  Constants(StableAbi abi) {
    dtypes = new int[DType.values().length];
    for (DType dtype : DType.values()) {
      dtypes[dtype.ordinal()] = abi.constant("aoti_torch_dtype_" + torchName(dtype));
    }
    devices =
        new int[] {
          abi.constant("aoti_torch_device_type_cpu"), abi.constant("aoti_torch_device_type_cuda")
        };
  }

  private static String torchName(DType dtype) {
    return switch (dtype) {
      case F32 -> "float32";
      case F64 -> "float64";
      case F16 -> "float16";
      case BF16 -> "bfloat16";
      case I64 -> "int64";
      case I32 -> "int32";
      case U8 -> "uint8";
      case BOOL -> "bool";
      case C64 -> "complex64";
    };
  }

  int code(DType dtype) {
    return dtypes[dtype.ordinal()];
  }

  int code(Device.Type device) {
    return devices[device.ordinal()];
  }

  DType dtype(int code) {
    for (DType dtype : DType.values()) {
      if (dtypes[dtype.ordinal()] == code) {
        return dtype;
      }
    }
    throw new TensorException("libtorch's element type " + code + " is not one of ours");
  }
}
