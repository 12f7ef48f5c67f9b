package io.heatkv.tensor.libtorch;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The kernel of {@code float.cu}: attention in float32 on tensor cores, for any number of queries
 * and keys. It reads earlier and current keys where they lie and writes tokens before heads.
 */
final class FloatAttention {
  private static final int WARP = 32;
  private static final int WARP_QUERIES = 16;
  // Of float.cu.
  private static final int KEYS = 64;
  private static final int FEW_THREADS = 128;
  private static final int MANY_THREADS = 256;
  private static final int MANY_CHANNELS = 64;
  // Two for each multiprocessor of an H100: with fewer, more of them share the queries.
  private static final int BLOCKS = 264;

  private final KernelLauncher launcher;
  private final Map<Integer, MemorySegment> kernels = new HashMap<>();

  FloatAttention(KernelLauncher launcher) {
    this.launcher = launcher;
  }

  /** Whether the kernel takes heads of so many channels. */
  static boolean takes(DType dtype, long dim) {
    return dtype == DType.F32 && dim >= 16 && dim <= 128 && Long.bitCount(dim) == 1;
  }

  /** Whether the kernel takes queries [b, h, n, d]. */
  static boolean takes(Tensor q) {
    return takes(q.dtype(), q.size(3)) && q.stride(3) == 1;
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
    if (!current.isRegular() || (earlier != null && !earlier.isRegular())) {
      return null;
    }
    int dim = (int) q.size(3);
    long sequences = q.size(0) * q.size(1);
    int threads = threads(dim, q.size(2), sequences);
    Tensor out =
        Tensor.empty(q.backend(), q.dtype(), q.device(), q.size(0), q.size(2), q.size(1), dim);
    launcher.launchWithMemory(
        memory(dim, threads),
        kernel(dim),
        Math.ceilDiv(q.size(2), queries(threads)),
        sequences,
        threads,
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
        current.count());
    return out.transpose(1, 2);
  }

  /** Threads of a block. Where there are enough blocks, larger ones read keys less often. */
  private static int threads(int dim, long queries, long sequences) {
    boolean isMany =
        dim < MANY_CHANNELS && Math.ceilDiv(queries, queries(MANY_THREADS)) * sequences >= BLOCKS;
    return isMany ? MANY_THREADS : FEW_THREADS;
  }

  private static int queries(int threads) {
    return threads / WARP * WARP_QUERIES;
  }

  /** Bytes of shared memory: queries, a tile of keys and values, what is added to two tiles. */
  private static int memory(int dim, int threads) {
    return ((queries(threads) + 2 * KEYS) * dim + 2 * KEYS) * Float.BYTES;
  }

  private synchronized MemorySegment kernel(int dim) throws CudaCompiler.Unavailable {
    MemorySegment known = kernels.get(dim);
    if (known == null) {
      int most = memory(dim, dim < MANY_CHANNELS ? MANY_THREADS : FEW_THREADS);
      known = launcher.load(wanted(launcher, dim)).kernel("attend_float", most);
      kernels.put(dim, known);
    }
    return known;
  }
}
