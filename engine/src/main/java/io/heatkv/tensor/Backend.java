package io.heatkv.tensor;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * A library that runs operators, implemented in {@code tensor.libtorch}.
 *
 * <p>Handles are opaque non-zero numbers, each freed exactly once by {@link #free}.
 *
 * <p>Any number of threads, platform or virtual, may call a backend at once. A tensor may be read
 * by several; whoever writes to it or frees it must be the only one to use it. Results are, bit by
 * bit, those of the same calls made alone: where operators would disturb each other, they wait in
 * line. Work on a CUDA device is queued on the calling thread's stream of libtorch, which is the
 * same for all threads unless they choose otherwise.
 */
public interface Backend {
  /**
   * Calls an operator of the ATen library with one tensor as its result.
   *
   * <p>Arguments are what the operator's schema asks for, in order: {@link Tensor}, {@link Long},
   * {@link Double}, {@link Boolean}, {@link String}, {@link DType}, {@code long[]}, {@code
   * Tensor[]}, {@link Optional} for optional ones, and {@link Device}.
   *
   * @throws TensorException naming the operator and the shapes of its arguments if it fails
   */
  long call(Operator operator, Object... arguments);

  /** Calls an operator with {@code results} tensors as its results. */
  long[] callMany(Operator operator, int results, Object... arguments);

  /** {@code a + alpha * b}; kept apart since the dispatcher of the stable ABI takes no scalars. */
  long add(Tensor a, Tensor b, double alpha);

  /** {@code a * factor}. */
  long scale(Tensor a, double factor);

  /** {@code a + summand}. */
  long shift(Tensor a, double summand);

  /**
   * {@code x W^T + b} of oneDNN on the CPU, see {@link #hasOneDnn}, with {@code gelu} the tanh
   * approximation of GELU of it; x [..., in], weight [out, in], bias [out], or of pixels: x [n, in,
   * h, w], weight [out, in, 1, 1]. It and {@link #gelu} are kept apart since what the dispatcher of
   * the stable ABI is given as text is never freed.
   */
  long linear(Tensor x, Tensor weight, @Nullable Tensor bias, boolean gelu);

  /** {@code x <- gelu(x)}, tanh approximation. */
  void gelu(Tensor x);

  /** Sets every element to {@code value}. */
  void fill(Tensor a, double value);

  /** {@code a[i] <- b[i]} with conversion of type and device. */
  void copy(Tensor target, Tensor source);

  /**
   * Begins a copy that others may follow, see {@link #copy}.
   *
   * @return waits for it, and throws what it failed with; before, neither tensor may be used
   *     otherwise or freed
   */
  Runnable copyLater(Tensor target, Tensor source);

  /**
   * A new tensor with undefined content, row-major.
   *
   * @throws io.heatkv.error.UserException if there is no memory for it
   */
  long empty(DType dtype, Device device, long... shape);

  /** A tensor over memory that the caller keeps alive; nothing is copied. CPU only. */
  long wrap(MemorySegment memory, DType dtype, long... shape);

  /** A tensor over the same memory, {@code offset} elements further. */
  long view(long handle, long[] shape, long[] strides, long offset);

  /** The memory of a contiguous CPU tensor, valid while the tensor lives. */
  MemorySegment memory(Tensor tensor);

  long[] shape(long handle);

  long[] strides(long handle);

  DType dtype(long handle);

  Device device(long handle);

  /** Where a tensor's elements begin, in the memory of its device. */
  long address(long handle);

  void free(long handle);

  /** Waits until all work queued on {@code device} is done. */
  void synchronize(Device device);

  /**
   * Refuses a device that this process can't use.
   *
   * @throws io.heatkv.error.UserException saying what is missing
   */
  void require(Device device);

  /** Memory of a CUDA device as its driver reports it, all processes counted. */
  DeviceMemory memory(Device device);

  /**
   * @param free bytes
   * @param total bytes
   */
  record DeviceMemory(long free, long total) {}

  /**
   * Begins to listen to what a device executes, for all threads; null where it can't be told, as on
   * the CPU, and while another trace is open.
   */
  @Nullable DeviceTrace trace(Device device);

  /** The steps of a transformer block as this device runs them best. */
  DeviceOps ops(Device device);

  /** Threads that an operator on the CPU uses. */
  int threads();

  /** Whether convolutions and linear layers on the CPU can be asked of oneDNN. */
  boolean hasOneDnn();

  /** Whether the processor has AVX-512. */
  boolean hasAvx512();

  /** Whether the processor itself multiplies bfloat16 matrices (AVX512-BF16 or AMX). */
  boolean multipliesBf16();

  /** Number of tensors handed out and not yet freed. */
  long liveTensors();

  /** Name and version, for reports. */
  String description();

  /** A value for an optional argument: {@code value} null means none. */
  record Optional(@Nullable Object value) {
    public static final Optional NONE = new Optional(null);

    public static Optional of(@Nullable Object value) {
      return value == null ? NONE : new Optional(value);
    }
  }
}
