package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.heatkv.tensor.HeadRanges;
import io.heatkv.tensor.Operator;
import io.heatkv.tensor.Ops.AttentionParts;
import io.heatkv.tensor.Tensor;
import io.heatkv.tensor.TensorException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * libtorch's CUDA attention kernels, called by their own functions: the dispatcher can't return the
 * numbers that they have among their results, and takes longer.
 *
 * <p>All return the output and the log-sum-exp of every query, and what only training needs.
 */
final class AttentionFunctions {
  private static final MemorySegment NONE = MemorySegment.NULL;
  private static final int RESULTS = 9;

  private final LibTorch torch;
  private final MethodHandle cudnn;
  private final MethodHandle flash;
  private final MethodHandle efficient;
  private final MethodHandle flashRagged;
  private final MethodHandle efficientRagged;
  private final ThreadLocal<Cells> cells = ThreadLocal.withInitial(Cells::new);

  /** Memory of one thread for optional arguments and results. */
  private static final class Cells {
    private final MemorySegment scale;
    private final MemorySegment queryEnds;
    private final MemorySegment keyEnds;
    private final MemorySegment queries;
    private final MemorySegment keys;
    private final MemorySegment[] results = new MemorySegment[RESULTS];

    Cells() {
      Arena arena = Arena.ofAuto();
      scale = arena.allocate(JAVA_DOUBLE);
      queryEnds = arena.allocate(JAVA_LONG);
      keyEnds = arena.allocate(JAVA_LONG);
      queries = arena.allocate(JAVA_LONG);
      keys = arena.allocate(JAVA_LONG);
      for (int i = 0; i < RESULTS; i++) {
        results[i] = arena.allocate(JAVA_LONG);
      }
    }
  }

  AttentionFunctions(LibTorch torch, StableAbi abi) {
    this.torch = torch;
    FunctionDescriptor qkv = FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    cudnn =
        abi.function(
            "aoti_torch_cuda__scaled_dot_product_cudnn_attention",
            results(
                qkv.appendArgumentLayouts(
                    ADDRESS, JAVA_INT, JAVA_DOUBLE, JAVA_INT, JAVA_INT, ADDRESS),
                9));
    flash =
        abi.function(
            "aoti_torch_cuda__scaled_dot_product_flash_attention",
            results(qkv.appendArgumentLayouts(JAVA_DOUBLE, JAVA_INT, JAVA_INT, ADDRESS), 9));
    efficient =
        abi.function(
            "aoti_torch_cuda__scaled_dot_product_efficient_attention",
            results(
                qkv.appendArgumentLayouts(ADDRESS, JAVA_INT, JAVA_DOUBLE, JAVA_INT, ADDRESS), 4));
    flashRagged =
        abi.function(
            "aoti_torch_cuda__flash_attention_forward",
            results(
                qkv.appendArgumentLayouts(
                    ADDRESS,
                    ADDRESS,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_DOUBLE,
                    JAVA_INT,
                    JAVA_INT,
                    ADDRESS,
                    ADDRESS,
                    ADDRESS,
                    ADDRESS,
                    ADDRESS),
                5));
    efficientRagged =
        abi.function(
            "aoti_torch_cuda__efficient_attention_forward",
            results(
                qkv.appendArgumentLayouts(
                    ADDRESS,
                    ADDRESS,
                    ADDRESS,
                    ADDRESS,
                    ADDRESS,
                    JAVA_DOUBLE,
                    JAVA_LONG,
                    JAVA_INT,
                    ADDRESS,
                    ADDRESS,
                    ADDRESS),
                6));
  }

  private static FunctionDescriptor results(FunctionDescriptor descriptor, int count) {
    FunctionDescriptor all = descriptor;
    for (int i = 0; i < count; i++) {
      all = all.appendArgumentLayouts(ADDRESS);
    }
    return all;
  }

  /** q [b, h, n, d], k and v [b, h, m, d], half precision; log-sum-exp [b, h, n, 1]. */
  AttentionParts cudnn(Tensor q, Tensor k, Tensor v, double scale) {
    Cells c = cells(scale);
    MemorySegment[] r = c.results;
    try {
      int code =
          (int)
              cudnn.invokeExact(
                  q.handle(),
                  k.handle(),
                  v.handle(),
                  NONE,
                  1,
                  0.0,
                  0,
                  0,
                  c.scale,
                  r[0],
                  r[1],
                  r[2],
                  r[3],
                  r[4],
                  r[5],
                  r[6],
                  r[7],
                  r[8]);
      return parts(code, c, "_scaled_dot_product_cudnn_attention", 0b111001111, q, k, v);
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  /** q [b, h, n, d], k and v [b, h, m, d], half precision; log-sum-exp [b, h, n]. */
  AttentionParts flash(Tensor q, Tensor k, Tensor v, double scale) {
    Cells c = cells(scale);
    MemorySegment[] r = c.results;
    try {
      int code =
          (int)
              flash.invokeExact(
                  q.handle(),
                  k.handle(),
                  v.handle(),
                  0.0,
                  0,
                  0,
                  c.scale,
                  r[0],
                  r[1],
                  r[2],
                  r[3],
                  r[4],
                  r[5],
                  r[6],
                  r[7],
                  r[8]);
      return parts(code, c, "_scaled_dot_product_flash_attention", 0b111001111, q, k, v);
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  /** q [b, h, n, d], k and v [b, h, m, d], any type; log-sum-exp [b, h, n or more]. */
  AttentionParts efficient(Tensor q, Tensor k, Tensor v, double scale) {
    Cells c = cells(scale);
    MemorySegment[] r = c.results;
    try {
      int code =
          (int)
              efficient.invokeExact(
                  q.handle(),
                  k.handle(),
                  v.handle(),
                  NONE,
                  1,
                  0.0,
                  0,
                  c.scale,
                  r[0],
                  r[1],
                  r[2],
                  r[3]);
      return parts(code, c, "_scaled_dot_product_efficient_attention", 0b1111, q, k, v);
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  /** q [queries, 1, d], k and v [keys, 1, d], half precision; log-sum-exp [1, queries]. */
  AttentionParts flashRagged(
      Tensor q, Tensor k, Tensor v, HeadRanges ranges, long queries, double scale) {
    Cells c = cells(scale);
    MemorySegment[] r = c.results;
    c.queryEnds.set(JAVA_LONG, 0, ranges.queryEnds().handle());
    c.keyEnds.set(JAVA_LONG, 0, ranges.keyEnds().handle());
    try {
      int code =
          (int)
              flashRagged.invokeExact(
                  q.handle(),
                  k.handle(),
                  v.handle(),
                  c.queryEnds,
                  c.keyEnds,
                  queries,
                  (long) ranges.longest(),
                  0.0,
                  0,
                  0,
                  c.scale,
                  NONE,
                  NONE,
                  NONE,
                  NONE,
                  r[0],
                  r[1],
                  r[2],
                  r[3],
                  r[4]);
      return parts(code, c, "_flash_attention_forward", 0b11111, q, k, v);
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  /**
   * q [1, queries, 1, d], k and v [1, keys, 1, d], any type; log-sum-exp [sequences, 1, queries of
   * one or more].
   */
  AttentionParts efficientRagged(
      Tensor q, Tensor k, Tensor v, HeadRanges ranges, long queries, double scale) {
    Cells c = cells(scale);
    MemorySegment[] r = c.results;
    c.queryEnds.set(JAVA_LONG, 0, ranges.queryEnds().handle());
    c.keyEnds.set(JAVA_LONG, 0, ranges.keyEnds().handle());
    c.queries.set(JAVA_LONG, 0, queries);
    c.keys.set(JAVA_LONG, 0, ranges.longest());
    try {
      int code =
          (int)
              efficientRagged.invokeExact(
                  q.handle(),
                  k.handle(),
                  v.handle(),
                  NONE,
                  c.queryEnds,
                  c.keyEnds,
                  c.queries,
                  c.keys,
                  0.0,
                  0L,
                  1,
                  c.scale,
                  NONE,
                  NONE,
                  r[0],
                  r[1],
                  r[2],
                  r[3],
                  r[4],
                  r[5]);
      return parts(code, c, "_efficient_attention_forward", 0b1111, q, k, v);
    } catch (Throwable e) {
      throw LibTorch.rethrow(e);
    }
  }

  private Cells cells(double scale) {
    Cells c = cells.get();
    c.scale.set(JAVA_DOUBLE, 0, scale);
    return c;
  }

  /**
   * @param tensors bit i is set if result i is a tensor; the others are numbers
   */
  private AttentionParts parts(int code, Cells c, String name, int tensors, Tensor... arguments) {
    if (code != 0) {
      throw new TensorException(torch.failure(Operator.of(name), (Object[]) arguments));
    }
    for (int i = 2; i < RESULTS; i++) {
      if ((tensors >> i & 1) != 0) {
        torch.delete(c.results[i].get(JAVA_LONG, 0));
      }
    }
    return new AttentionParts(
        torch.created(c.results[0].get(JAVA_LONG, 0)),
        torch.created(c.results[1].get(JAVA_LONG, 0)));
  }
}
