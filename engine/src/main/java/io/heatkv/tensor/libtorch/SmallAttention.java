package io.heatkv.tensor.libtorch;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.HeadRanges;
import io.heatkv.tensor.Ops.AttentionParts;
import io.heatkv.tensor.StoredStep;
import io.heatkv.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The kernel of {@code attention.cu}: for few queries or few keys, where a launch counts more than
 * the arithmetic. It reads earlier and current keys where they lie and writes tokens before heads.
 */
final class SmallAttention {
  private static final int TILE = 64;
  static final int THREADS = 128;
  static final int LEAST_CAPABILITY = 80;
  private static final int MOST_CHANNELS = 128;
  private static final int MAX_QUERIES = 512;
  private static final int FEW_KEYS = 256;

  private final KernelLauncher launcher;
  private final Map<Kind, Kernels> kernels = new HashMap<>();

  private record Kind(DType dtype, long dim) {}

  private record Kernels(MemorySegment attend, @Nullable MemorySegment stored) {}

  /**
   * Keys and values that a row's head sees.
   *
   * @param k [rows, heads or 1, entries, head_dim]
   * @param v same shape and strides
   * @param count entries
   * @param slots where entries are, or null for one after another
   * @param ends of each head's entries, int32 from 0, a pointer or a tensor, or null for all of
   *     them
   * @param unit entries that {@code ends} count as one
   * @param added to the scores of each entry, in units of the logarithm to base 2, float32, where
   *     little ends a head's; or null for nothing
   */
  record Keys(
      Tensor k,
      Tensor v,
      long count,
      @Nullable Tensor slots,
      @Nullable Object ends,
      int unit,
      @Nullable Tensor added) {
    static Keys of(Tensor k, Tensor v) {
      return new Keys(k, v, k.size(2), null, null, 1, null);
    }

    /**
     * Entries of heads in tiles.
     *
     * @param both [rows, 2, tiles, 128, head_dim]
     * @param ends of each head's tiles, int32 from 0
     */
    static Keys ofTiles(Tensor both, Tensor added, KernelLauncher.Pointer ends) {
      Tensor entries = both.reshape(both.size(0), 2, -1, both.size(4)).unsqueeze(2);
      return new Keys(
          entries.select(1, 0),
          entries.select(1, 1),
          entries.size(3),
          null,
          ends,
          StoredStep.TILE,
          added);
    }

    /** No keys, beside others of the shape of these. */
    static Keys none(Tensor k, Tensor v) {
      return new Keys(k, v, 0, null, null, 1, null);
    }

    /** Entries of heads in packed keys and values or in an arena [2, rows, entries, head_dim]. */
    static Keys ofRow(Tensor both, @Nullable Tensor slots, HeadRanges ranges) {
      Tensor heads = both.unsqueeze(2);
      return new Keys(
          heads.select(0, 0),
          heads.select(0, 1),
          ranges.longest(),
          slots,
          ranges.keyEnds(),
          1,
          null);
    }

    /** Entries of a head after another's, counted in elements; 0 if heads share them. */
    long headStride() {
      return k.size(1) == 1 ? 0 : k.stride(1);
    }

    boolean isRegular() {
      return k.stride(3) == 1
          && k.stride(2) == k.size(3)
          && k.stride(0) == v.stride(0)
          && k.stride(1) == v.stride(1)
          && v.stride(2) == k.size(3);
    }
  }

  SmallAttention(KernelLauncher launcher) {
    this.launcher = launcher;
  }

  /** Whether this kernel takes heads of so many channels. */
  static boolean takes(DType dtype, long dim) {
    return (dtype == DType.BF16 || dtype == DType.F16) && dim % 16 == 0 && dim <= MOST_CHANNELS;
  }

  /** Blocks of queries. */
  static long blocks(long queries) {
    return Math.ceilDiv(queries, TILE);
  }

  /** Whether this kernel is the better one for queries [b, h, n, d] and that many keys. */
  static boolean suits(Tensor q, long keys) {
    return takes(q.dtype(), q.size(3))
        && q.stride(3) == 1
        && (q.size(2) < MAX_QUERIES || keys <= FEW_KEYS);
  }

  /**
   * Attention over both sets of keys, and over what was attended to before.
   *
   * @param q [b, h, n, d]
   * @param earlier or null for none
   * @param before output and log-sum-exp of attention to other keys, or null for none
   * @param lse the log-sum-exp of each query's scaled scores [b, h, n], float32, is written to;
   *     null for none
   * @return [b, h, n, d], tokens before heads in memory; null if the keys lie irregularly
   */
  @Nullable Tensor attend(
      Tensor q,
      @Nullable Keys earlier,
      Keys current,
      @Nullable AttentionParts before,
      double scale,
      @Nullable Tensor lse)
      throws CudaCompiler.Unavailable {
    if (!current.isRegular() || (earlier != null && !earlier.isRegular())) {
      return null;
    }
    Tensor out =
        Tensor.empty(
            q.backend(), q.dtype(), q.device(), q.size(0), q.size(2), q.size(1), q.size(3));
    launcher.launch(
        kernel(new Kind(q.dtype(), q.size(3))),
        blocks(q.size(2)),
        q.size(0) * q.size(1),
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
        earlier == null ? null : earlier.k,
        earlier == null ? null : earlier.v,
        earlier == null ? 0L : earlier.k.stride(0),
        earlier == null ? 0L : earlier.headStride(),
        earlier == null ? 0L : earlier.count,
        earlier == null ? null : earlier.slots,
        earlier == null ? null : earlier.ends,
        earlier == null ? 1 : earlier.unit,
        earlier == null ? null : earlier.added,
        current.k,
        current.v,
        current.k.stride(0),
        current.k.stride(1),
        current.count,
        before == null ? null : before.output(),
        before == null ? 0L : before.output().stride(0),
        before == null ? 0L : before.output().stride(1),
        before == null ? 0L : before.output().stride(2),
        before == null ? null : before.lse().contiguous());
    return out.transpose(1, 2);
  }

  /** What is compiled. */
  static KernelImages.Wanted wanted(KernelLauncher launcher, DType dtype, long dim) {
    return launcher.of(List.of("stored.cu", "tile.cu", "attention.cu"), dtype, "DIM=" + dim);
  }

  private MemorySegment kernel(Kind kind) throws CudaCompiler.Unavailable {
    return kernels(kind).attend;
  }

  /** The kernel that decodes stored maps as it reads them; null for heads that they don't have. */
  @Nullable MemorySegment stored(DType dtype, int dim) throws CudaCompiler.Unavailable {
    return takes(dtype, dim) ? kernels(new Kind(dtype, dim)).stored : null;
  }

  private synchronized Kernels kernels(Kind kind) throws CudaCompiler.Unavailable {
    Kernels known = kernels.get(kind);
    if (known == null) {
      CudaCompiler.Module module = launcher.load(wanted(launcher, kind.dtype, kind.dim));
      boolean isStored = Long.bitCount(kind.dim) == 1;
      known =
          new Kernels(module.kernel("attend"), isStored ? module.kernel("attend_stored") : null);
      kernels.put(kind, known);
    }
    return known;
  }
}
