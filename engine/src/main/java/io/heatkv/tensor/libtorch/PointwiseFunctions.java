package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Functions on the CPU that are told an activation by its name (torch/csrc/inductor/aoti_torch/c/
 * shim_cpu.h). libtorch 2.10 to 2.13 never frees a text that its dispatcher is given: 32 bytes a
 * call, between the tensors, which keep freed memory in pieces.
 */
final class PointwiseFunctions {
  private static final MemorySegment NONE = text("none");
  private static final MemorySegment GELU = text("gelu");
  private static final MemorySegment TANH = text("tanh");
  private static final MemorySegment ALGORITHM = Arena.global().allocateFrom(ADDRESS, TANH);
  private static final MemorySegment ZEROS = Arena.global().allocateFrom(JAVA_LONG, 0, 0);
  private static final MemorySegment ONES = Arena.global().allocateFrom(JAVA_LONG, 1, 1);

  // std::string_view of libstdc++: a length, then an address.
  private static final MemoryLayout STRING_VIEW = MemoryLayout.structLayout(JAVA_LONG, ADDRESS);
  private static final MemorySegment TANH_VIEW = view(TANH);

  private final @Nullable MethodHandle linear;
  private final @Nullable MethodHandle convolution;
  private final @Nullable MethodHandle gelu;

  PointwiseFunctions(StableAbi abi) {
    linear =
        abi.optional(
            "aoti_torch_cpu__linear_pointwise",
            FunctionDescriptor.of(
                JAVA_INT, JAVA_LONG, JAVA_LONG, ADDRESS, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS,
                ADDRESS));
    convolution =
        abi.optional(
            "aoti_torch_cpu_mkldnn__convolution_pointwise",
            FunctionDescriptor.of(
                JAVA_INT, JAVA_LONG, JAVA_LONG, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS, JAVA_LONG,
                ADDRESS, JAVA_LONG, JAVA_LONG, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS, ADDRESS));
    // The C++ function at::_ops::gelu_::call(at::Tensor&, std::string_view): the C ABI has none.
    gelu =
        abi.optional(
            "_ZN2at4_ops5gelu_4callERNS_6TensorESt17basic_string_viewIcSt11char_traitsIcEE",
            FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, STRING_VIEW));
  }

  private static MemorySegment text(String text) {
    return Arena.global().allocateFrom(text);
  }

  private static MemorySegment view(MemorySegment text) {
    MemorySegment view = Arena.global().allocate(STRING_VIEW);
    view.set(JAVA_LONG, 0, text.byteSize() - 1);
    view.set(ADDRESS, JAVA_LONG.byteSize(), text);
    return view;
  }

  boolean hasOneDnn() {
    return linear != null && convolution != null;
  }

  /** Puts a handle into the frame's {@code out}; returns 0 for success. */
  int linear(CallFrame frame, Tensor x, Tensor weight, @Nullable Tensor bias, boolean isGelu) {
    if (weight.rank() == 4) {
      return convolve(frame, x, weight, bias, isGelu);
    }
    MemorySegment name = isGelu ? GELU : NONE;
    MemorySegment algorithm = isGelu ? ALGORITHM : MemorySegment.NULL;
    try {
      return (int)
          Objects.requireNonNull(linear)
              .invokeExact(
                  x.handle(),
                  weight.handle(),
                  handle(frame, bias),
                  name,
                  MemorySegment.NULL,
                  0L,
                  algorithm,
                  frame.out());
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  private int convolve(
      CallFrame frame, Tensor x, Tensor weight, @Nullable Tensor bias, boolean isGelu) {
    MemorySegment name = isGelu ? GELU : NONE;
    MemorySegment algorithm = isGelu ? ALGORITHM : MemorySegment.NULL;
    try {
      return (int)
          Objects.requireNonNull(convolution)
              .invokeExact(
                  x.handle(),
                  weight.handle(),
                  handle(frame, bias),
                  ZEROS,
                  2L,
                  ONES,
                  2L,
                  ONES,
                  2L,
                  1L,
                  name,
                  MemorySegment.NULL,
                  0L,
                  algorithm,
                  frame.out());
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  private static MemorySegment handle(CallFrame frame, @Nullable Tensor tensor) {
    if (tensor == null) {
      return MemorySegment.NULL;
    }
    frame.stack().set(JAVA_LONG, 0, tensor.handle());
    return frame.stack();
  }

  /**
   * {@code x <- gelu(x)}, tanh approximation; false where the dispatcher is to do it: elsewhere
   * than on the CPU it may fail, and a C++ exception would end the process.
   */
  boolean gelu(Tensor x) {
    if (gelu == null
        || x.device().isCuda()
        || (x.dtype() != DType.F32 && x.dtype() != DType.BF16)) {
      return false;
    }
    try {
      long ignored = (long) gelu.invokeExact(x.handle(), TANH_VIEW);
      return true;
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }
}
