package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** What the ABI tells of a tensor; all take its handle and a place for a 64-bit result. */
final class Metadata {
  private final StableAbi abi;
  private final Constants constants;

  Metadata(StableAbi abi, Constants constants) {
    this.abi = abi;
    this.constants = constants;
  }

  long[] shape(long handle, MemorySegment out) {
    return numbers(abi.sizes, handle, out);
  }

  long[] strides(long handle, MemorySegment out) {
    return numbers(abi.strides, handle, out);
  }

  private long[] numbers(MethodHandle getter, long handle, MemorySegment out) {
    try {
      abi.check((int) abi.dimensions.invokeExact(handle, out), "rank of a tensor");
      int rank = (int) out.get(JAVA_LONG, 0);
      if (rank == 0) {
        return new long[0];
      }
      abi.check((int) getter.invokeExact(handle, out), "shape of a tensor");
      return out.get(ADDRESS, 0).reinterpret(8L * rank).toArray(JAVA_LONG);
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  DType dtype(long handle, MemorySegment out) {
    return constants.dtype(number(abi.dtype, handle, out));
  }

  Device device(long handle, MemorySegment out) {
    return number(abi.deviceType, handle, out) == constants.code(Device.Type.CUDA)
        ? Device.cuda(number(abi.deviceIndex, handle, out))
        : Device.CPU;
  }

  private int number(MethodHandle getter, long handle, MemorySegment out) {
    try {
      abi.check((int) getter.invokeExact(handle, out), "property of a tensor");
      return out.get(JAVA_INT, 0);
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  /** Where its elements lie. */
  long address(long handle, MemorySegment out) {
    try {
      abi.check((int) abi.dataPointer.invokeExact(handle, out), "data of a tensor");
      return out.get(JAVA_LONG, 0);
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }
}
