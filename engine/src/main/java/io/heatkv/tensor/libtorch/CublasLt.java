package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Tensor;
import io.heatkv.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Linear layers by the cuBLASLt that libtorch brings, for one device: the same products that
 * libtorch runs, with bias and GELU as their epilogue, at a quarter of the time that an operator
 * call takes. A small scale's products are shorter than that call. In float32 libtorch asks for an
 * algorithm in each call, for which the device waits a third of a millisecond before each scale.
 */
final class CublasLt {
  // Values of cublasLt.h and library_types.h.
  private static final int COMPUTE_32F = 68;
  private static final int REAL_32F = 0;
  private static final int REAL_16F = 2;
  private static final int REAL_16BF = 14;
  private static final int TRANSPOSE_A = 3;
  private static final int EPILOGUE = 7;
  private static final int BIAS_POINTER = 8;
  private static final int EPILOGUE_BIAS = 4;
  private static final int EPILOGUE_GELU_BIAS = 36;
  private static final int PREFERENCE_WORKSPACE = 1;
  private static final long ALGORITHM_BYTES = 64;
  private static final long HEURISTIC_BYTES = 96;
  private static final long WORKSPACE_BYTES = 32 << 20;
  // Some ten a scale; a service draws batches and grids of many sizes.
  private static final int MAX_PLANS = 1024;

  private final Cuda cuda;
  private final int device;
  private final MethodHandle setAttribute;
  private final MethodHandle multiply;
  private final MethodHandle makeProduct;
  private final MethodHandle makeLayout;
  private final MethodHandle heuristic;
  private final MethodHandle allocate;
  private final MethodHandle freeProduct;
  private final MethodHandle freeLayout;
  private final Arena arena = Arena.ofAuto();
  private final MemorySegment handle;
  private final MemorySegment preference;
  private final MemorySegment one = arena.allocateFrom(JAVA_FLOAT, 1);
  private final MemorySegment zero = arena.allocateFrom(JAVA_FLOAT, 0);
  private final MemorySegment out = arena.allocate(ADDRESS);
  private final MemorySegment value = arena.allocate(JAVA_LONG);
  private final LinkedHashMap<Shape, Plan> plans = new LinkedHashMap<>(16, 0.75f, true);
  // Products on different streams run at once.
  private final Map<Long, MemorySegment> workspaces = new HashMap<>();

  /** What a plan depends on: y [rows, width] = x [rows, depth] W [width, depth]^T + b. */
  record Shape(DType dtype, boolean gelu, long rows, long width, long depth) {}

  private record Plan(
      MemorySegment product,
      MemorySegment weights,
      MemorySegment inputs,
      MemorySegment outputs,
      MemorySegment algorithm) {}

  private CublasLt(StableAbi abi, Cuda cuda, int device) throws Throwable {
    this.cuda = cuda;
    this.device = device;
    setAttribute =
        abi.function(
            "cublasLtMatmulDescSetAttribute",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, ADDRESS, JAVA_LONG));
    multiply =
        abi.function(
            "cublasLtMatmul",
            FunctionDescriptor.of(
                JAVA_INT, ADDRESS, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS,
                ADDRESS, JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS, ADDRESS, ADDRESS, JAVA_LONG,
                ADDRESS));
    makeProduct =
        abi.function(
            "cublasLtMatmulDescCreate",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT));
    makeLayout =
        abi.function(
            "cublasLtMatrixLayoutCreate",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG));
    heuristic =
        abi.function(
            "cublasLtMatmulAlgoGetHeuristic",
            FunctionDescriptor.of(
                JAVA_INT, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, JAVA_INT,
                ADDRESS, ADDRESS));
    allocate = abi.function("cudaMalloc", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG));
    FunctionDescriptor ofPointer = FunctionDescriptor.of(JAVA_INT, ADDRESS);
    freeProduct = abi.function("cublasLtMatmulDescDestroy", ofPointer);
    freeLayout = abi.function("cublasLtMatrixLayoutDestroy", ofPointer);
    cuda.use(device);
    check((int) abi.function("cublasLtCreate", ofPointer).invokeExact(out));
    handle = out.get(ADDRESS, 0);
    check((int) abi.function("cublasLtMatmulPreferenceCreate", ofPointer).invokeExact(out));
    preference = out.get(ADDRESS, 0);
    value.set(JAVA_LONG, 0, WORKSPACE_BYTES);
    check(
        (int)
            abi.function(
                    "cublasLtMatmulPreferenceSetAttribute",
                    FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, ADDRESS, JAVA_LONG))
                .invokeExact(preference, PREFERENCE_WORKSPACE, value, 8L));
  }

  /** The library on a device, or null where libtorch came without. */
  static @Nullable CublasLt open(StableAbi abi, Cuda cuda, int device) {
    if (!abi.has("cublasLtMatmul")) {
      return null;
    }
    try {
      return new CublasLt(abi, cuda, device);
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  /** A linear layer, or null for what cuBLASLt doesn't take: its GELU suits halves only. */
  @Nullable Tensor linear(Tensor x, Tensor weight, Tensor bias, boolean gelu) {
    DType dtype = x.dtype();
    long width = weight.size(0);
    long depth = weight.size(1);
    boolean isHalf = dtype == DType.BF16 || dtype == DType.F16;
    if (!(isHalf || (dtype == DType.F32 && !gelu))
        || width % 8 != 0
        || depth % 8 != 0
        || !x.isContiguous()
        || x.count() == 0) {
      return null;
    }
    long[] shape = x.shape();
    shape[shape.length - 1] = width;
    Tensor y = Tensor.empty(x.backend(), dtype, x.device(), shape);
    linear(
        new Shape(dtype, gelu, x.count() / depth, width, depth),
        x.address(),
        weight.address(),
        bias.address(),
        y.address());
    return y;
  }

  /**
   * Queues {@code y = x W^T + b}, or GELU (tanh) of it; all row-major without gaps.
   *
   * @param shape float32 or, also for GELU, in half precision; width and depth multiples of 8
   */
  synchronized void linear(Shape shape, long x, long weight, long bias, long y) {
    cuda.use(device);
    try {
      Plan plan = plans.get(shape);
      if (plan == null) {
        plan = plan(shape, bias);
        plans.put(shape, plan);
        if (plans.size() > MAX_PLANS) {
          free(plans.pollFirstEntry().getValue());
        }
      }
      MemorySegment stream = cuda.stream(device, out);
      setLong(plan.product, BIAS_POINTER, bias);
      check(
          (int)
              multiply.invokeExact(
                  handle,
                  plan.product,
                  one,
                  weight,
                  plan.weights,
                  x,
                  plan.inputs,
                  zero,
                  y,
                  plan.outputs,
                  y,
                  plan.outputs,
                  plan.algorithm,
                  workspace(cuda.torchStream(device, out)),
                  WORKSPACE_BYTES,
                  stream));
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  private MemorySegment workspace(MemorySegment stream) throws Throwable {
    MemorySegment known = workspaces.get(stream.address());
    if (known == null) {
      check((int) allocate.invokeExact(out, WORKSPACE_BYTES));
      known = out.get(ADDRESS, 0);
      workspaces.put(stream.address(), known);
    }
    return known;
  }

  /** The product that was queued last with it has read it already. */
  private void free(Plan plan) throws Throwable {
    check((int) freeProduct.invokeExact(plan.product));
    check((int) freeLayout.invokeExact(plan.weights));
    check((int) freeLayout.invokeExact(plan.inputs));
    check((int) freeLayout.invokeExact(plan.outputs));
  }

  /** cuBLAS counts columns first: it computes y^T = W x^T. */
  private Plan plan(Shape shape, long bias) throws Throwable {
    check((int) makeProduct.invokeExact(out, COMPUTE_32F, REAL_32F));
    MemorySegment product = out.get(ADDRESS, 0);
    setInt(product, TRANSPOSE_A, 1);
    setInt(product, EPILOGUE, shape.gelu ? EPILOGUE_GELU_BIAS : EPILOGUE_BIAS);
    setLong(product, BIAS_POINTER, bias);
    MemorySegment weights = layout(shape.dtype, shape.depth, shape.width);
    MemorySegment inputs = layout(shape.dtype, shape.depth, shape.rows);
    MemorySegment outputs = layout(shape.dtype, shape.width, shape.rows);
    MemorySegment found = Arena.ofAuto().allocate(HEURISTIC_BYTES, 8);
    int code =
        (int)
            heuristic.invokeExact(
                handle, product, weights, inputs, outputs, outputs, preference, 1, found, out);
    if (code != 0 || out.get(JAVA_INT, 0) == 0) {
      throw new TensorException("cuBLASLt has no algorithm for " + shape);
    }
    return new Plan(product, weights, inputs, outputs, found.asSlice(0, ALGORITHM_BYTES));
  }

  private MemorySegment layout(DType dtype, long rows, long columns) throws Throwable {
    int type =
        switch (dtype) {
          case BF16 -> REAL_16BF;
          case F16 -> REAL_16F;
          default -> REAL_32F;
        };
    check((int) makeLayout.invokeExact(out, type, rows, columns, rows));
    return out.get(ADDRESS, 0);
  }

  private void setInt(MemorySegment product, int attribute, int number) throws Throwable {
    value.set(JAVA_INT, 0, number);
    check((int) setAttribute.invokeExact(product, attribute, value, 4L));
  }

  private void setLong(MemorySegment product, int attribute, long number) throws Throwable {
    value.set(JAVA_LONG, 0, number);
    check((int) setAttribute.invokeExact(product, attribute, value, 8L));
  }

  private static void check(int code) {
    if (code != 0) {
      throw new TensorException("cuBLASLt failed (status " + code + ")");
    }
  }
}
