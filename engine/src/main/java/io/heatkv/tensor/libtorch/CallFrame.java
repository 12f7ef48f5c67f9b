package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Tensor;
import io.heatkv.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Memory of one thread for calls: the stack of 64-bit values that the dispatcher reads and writes,
 * and places for results. Virtual threads have their own, whatever thread carries them.
 */
final class CallFrame {
  private static final int MAX_ARGUMENTS = 32;
  private static final int MAX_RANK = 16;

  private final StableAbi abi;
  private final Constants constants;
  private final MemorySegment stack;
  private final MemorySegment out;
  private final MemorySegment sizes;
  private final MemorySegment strides;

  CallFrame(StableAbi abi, Constants constants) {
    this.abi = abi;
    this.constants = constants;
    Arena arena = Arena.ofAuto();
    stack = arena.allocate(8L * MAX_ARGUMENTS, 8);
    out = arena.allocate(8, 8);
    sizes = arena.allocate(8L * MAX_RANK, 8);
    strides = arena.allocate(8L * MAX_RANK, 8);
  }

  MemorySegment stack() {
    return stack;
  }

  /** A place for one 64-bit result. */
  MemorySegment out() {
    return out;
  }

  long result(int index) {
    return stack.getAtIndex(JAVA_LONG, index);
  }

  MemorySegment sizes(long[] shape) {
    MemorySegment.copy(shape, 0, sizes, JAVA_LONG, 0, shape.length);
    return sizes;
  }

  MemorySegment strides(long[] steps) {
    MemorySegment.copy(steps, 0, strides, JAVA_LONG, 0, steps.length);
    return strides;
  }

  MemorySegment rowMajorStrides(long[] shape) {
    long stride = 1;
    for (int i = shape.length - 1; i >= 0; i--) {
      strides.setAtIndex(JAVA_LONG, i, stride);
      stride *= Math.max(1, shape[i]);
    }
    return strides;
  }

  /** Lays out arguments; the callee takes over the handles made here. */
  void fill(Object[] arguments) throws Throwable {
    for (int i = 0; i < arguments.length; i++) {
      long value = value(arguments[i]);
      stack.setAtIndex(JAVA_LONG, i, value);
    }
  }

  private long value(Object argument) throws Throwable {
    return switch (argument) {
      case Tensor tensor -> tensor(tensor);
      case Long number -> number;
      case Double number -> Double.doubleToRawLongBits(number);
      case Boolean flag -> flag ? 1 : 0;
      case DType dtype -> constants.code(dtype);
      case Backend.Optional option -> optional(option);
      case long[] numbers -> list(numbers);
      case Tensor[] tensors -> list(tensors);
      case String text -> string(text);
      case Device device -> (long) constants.code(device.type()) << 32 | device.index();
      default -> throw new IllegalArgumentException("no argument type: " + argument.getClass());
    };
  }

  private long tensor(Tensor tensor) throws Throwable {
    check((int) abi.newHandle.invokeExact(tensor.handle(), out));
    return out.get(JAVA_LONG, 0);
  }

  private long optional(Backend.Optional option) throws Throwable {
    Object content = option.value();
    if (content == null) {
      return 0;
    }
    long value = value(content);
    MemorySegment cell;
    if (abi.newOptional != null) {
      check((int) abi.newOptional.invokeExact(out));
      cell = out.get(ADDRESS, 0);
    } else {
      cell = (MemorySegment) abi.malloc.invokeExact(8L);
    }
    cell.reinterpret(8).set(JAVA_LONG, 0, value);
    return cell.address();
  }

  private long list(long[] numbers) throws Throwable {
    long list = newList(numbers.length);
    for (long number : numbers) {
      check((int) abi.pushBack.invokeExact(list, number));
    }
    return list;
  }

  private long list(Tensor[] tensors) throws Throwable {
    long list = newList(tensors.length);
    for (Tensor tensor : tensors) {
      long handle = tensor(tensor);
      check((int) abi.pushBack.invokeExact(list, handle));
    }
    return list;
  }

  private long newList(long size) throws Throwable {
    check((int) abi.newList.invokeExact(size, out));
    return out.get(JAVA_LONG, 0);
  }

  private long string(String text) throws Throwable {
    try (Arena arena = Arena.ofConfined()) {
      byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
      MemorySegment memory = arena.allocateFrom(text);
      check((int) abi.newString.invokeExact(memory, (long) bytes.length, out));
      return out.get(JAVA_LONG, 0);
    }
  }

  private static void check(int code) {
    if (code != 0) {
      throw new TensorException("an argument can't be passed to libtorch");
    }
  }

  /** An argument for messages: shapes of tensors, values of others. */
  static String describe(Object argument) {
    return switch (argument) {
      case long[] numbers -> Arrays.toString(numbers);
      case Tensor[] tensors -> Arrays.toString(tensors);
      case Backend.Optional option -> option.value() == null ? "none" : describe(option.value());
      default -> String.valueOf(argument);
    };
  }
}
