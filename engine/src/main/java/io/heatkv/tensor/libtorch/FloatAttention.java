package io.heatkv.tensor.libtorch;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The kernels of {@code float.cu}: attention in float32 on tensor cores, for any number of queries
 * and keys. They read earlier and current keys where they lie and write tokens before heads.
 */
final class FloatAttention {
  private static final int MOST_CHANNELS = 128;
  // Of float.cu.
  private static final int THREADS = 128;
  // Two for each multiprocessor of an H100: with fewer, more of them share the queries.
  private static final int BLOCKS = 256;
  // With the most channels libtorch's kernel is faster for fewer queries.
  private static final int MANY_QUERIES = 1024;

  private final KernelLauncher launcher;
  private final Map<Integer, Kernels> kernels = new HashMap<>();

  /**
   * A kernel.
   *
   * @param queries of a block
   * @param memory bytes of shared memory
   */
  private record Kernel(MemorySegment function, int queries, int memory) {
    /**
     * @param keys of a tile
     */
    static Kernel of(CudaCompiler.Module module, String name, int queries, int keys, int dim)
        throws CudaCompiler.Unavailable {
      // Queries, a tile of keys and values, and what is added to the scores of two tiles.
      int memory = ((queries + 2 * keys) * dim + 2 * keys) * Float.BYTES;
      return new Kernel(module.kernel(name, memory), queries, memory);
    }
  }

  private record Kernels(Kernel few, @Nullable Kernel many) {
    /** Where there are enough blocks, larger ones read keys less often. */
    Kernel of(long queries, long sequences) {
      return many != null && Math.ceilDiv(queries, many.queries) * sequences >= BLOCKS ? many : few;
    }
  }

  FloatAttention(KernelLauncher launcher) {
    this.launcher = launcher;
  }

  /** Whether the kernels take heads of so many channels. */
  static boolean takes(DType dtype, long dim) {
    return dtype == DType.F32 && dim >= 16 && dim <= MOST_CHANNELS && Long.bitCount(dim) == 1;
  }

  /** Whether the kernels take queries [b, h, n, d]. */
  static boolean takes(Tensor q) {
    return takes(q.dtype(), q.size(3)) && q.stride(3) == 1;
  }

  /** Whether the kernels are better for queries [b, h, n, d] and one set of keys. */
  static boolean suits(Tensor q) {
    return takes(q) && (q.size(3) < MOST_CHANNELS || q.size(2) >= MANY_QUERIES);
  }

  /** What is compiled. */
  static KernelImages.Wanted wanted(KernelLauncher launcher, long dim) {
    return launcher.of(List.of("float.cu"), DType.F32, "DIM=" + dim);
  }

  /**
   * Attention over both sets of keys.
   *
   * @param q [b, h, n, d]
   * @param earlier or null for none
   * @param lse the log-sum-exp of each query's scaled scores [b, h, n] is written to; null for none
   * @return [b, h, n, d], tokens before heads in memory; null if the keys lie irregularly
   */
  @Nullable Tensor attend(
      Tensor q,
      SmallAttention.@Nullable Keys earlier,
      SmallAttention.Keys current,
      double scale,
      @Nullable Tensor lse)
      throws CudaCompiler.Unavailable {
    if (!current.isRegular() || (earlier != null && !earlier.isDense())) {
      return null;
    }
    int dim = (int) q.size(3);
    long sequences = q.size(0) * q.size(1);
    Kernel kernel = kernels(dim).of(q.size(2), sequences);
    Tensor out =
        Tensor.empty(q.backend(), q.dtype(), q.device(), q.size(0), q.size(2), q.size(1), dim);
    launcher.launchWithMemory(
        kernel.memory,
        kernel.function,
        Math.ceilDiv(q.size(2), kernel.queries),
        sequences,
        THREADS,
        q,
        q.stride(0),
        q.stride(1),
        q.stride(2),
        out,
        lse,
        (int) q.size(2),
        (int) q.size(1),
        (float) scale,
        earlier == null ? null : earlier.k(),
        earlier == null ? null : earlier.v(),
        earlier == null ? 0L : earlier.k().stride(0),
        earlier == null ? 0L : earlier.headStride(),
        earlier == null ? 0L : earlier.count(),
        earlier == null ? null : earlier.slots(),
        earlier == null ? null : earlier.ends(),
        earlier == null ? 1 : earlier.unit(),
        earlier == null ? null : earlier.added(),
        current.k(),
        current.v(),
        current.k().stride(0),
        current.k().stride(1),
        current.k().stride(2),
        current.count());
    return out.transpose(1, 2);
  }

  private synchronized Kernels kernels(int dim) throws CudaCompiler.Unavailable {
    Kernels known = kernels.get(dim);
    if (known == null) {
      CudaCompiler.Module module = launcher.load(wanted(launcher, dim));
      known =
          dim == MOST_CHANNELS
              ? new Kernels(Kernel.of(module, "attend_few", 64, 32, dim), null)
              : new Kernels(
                  Kernel.of(module, "attend_few", 64, 64, dim),
                  Kernel.of(module, "attend_many", 128, dim > 32 ? 32 : 64, dim));
      kernels.put(dim, known);
    }
    return known;
  }
}
