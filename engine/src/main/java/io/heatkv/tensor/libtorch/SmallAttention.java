package io.heatkv.tensor.libtorch;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.HeadRanges;
import io.heatkv.tensor.StoredMaps;
import io.heatkv.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
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
  private static final int THREADS = 128;
  private static final int MAX_QUERIES = 512;
  private static final int FEW_KEYS = 256;

  private final KernelLauncher launcher;
  private final Map<Kind, MemorySegment> kernels = new HashMap<>();

  private record Kind(DType dtype, long dim, boolean counts) {}

  /**
   * Keys and values that a row's head sees.
   *
   * @param k [rows, heads or 1, entries, head_dim]
   * @param v same shape and strides
   * @param count entries
   * @param slots where entries are, or null for one after another
   * @param ends of each head's entries, int32 from 0, or null for all of them
   * @param logs what is added to the scores of each entry, float32, or null for nothing
   */
  record Keys(
      Tensor k,
      Tensor v,
      long count,
      @Nullable Tensor slots,
      @Nullable Tensor ends,
      @Nullable Tensor logs) {
    static Keys of(Tensor k, Tensor v) {
      return new Keys(k, v, k.size(2), null, null, null);
    }

    /** No keys, beside others of the shape of these. */
    static Keys none(Tensor k, Tensor v) {
      return new Keys(k, v, 0, null, null, null);
    }

    /** Entries of stored maps in a workspace [2, rows, entries, head_dim]. */
    static Keys ofMaps(Tensor both, StoredMaps maps, @Nullable Tensor logs) {
      Tensor heads = both.unsqueeze(2);
      return new Keys(
          heads.select(0, 0), heads.select(0, 1), maps.longest(), null, maps.table(), logs);
    }

    /** Entries of heads in packed keys and values or in an arena [2, rows, entries, head_dim]. */
    static Keys ofRow(Tensor both, @Nullable Tensor slots, HeadRanges ranges) {
      Tensor heads = both.unsqueeze(2);
      return new Keys(
          heads.select(0, 0), heads.select(0, 1), ranges.longest(), slots, ranges.keyEnds(), null);
    }

    private boolean isRegular() {
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

  /** Whether this kernel takes queries [b, h, n, d]. */
  static boolean takes(Tensor q) {
    long dim = q.size(3);
    return (q.dtype() == DType.BF16 || q.dtype() == DType.F16)
        && dim % 16 == 0
        && dim <= 128
        && q.stride(3) == 1;
  }

  /** Whether this kernel is the better one for queries [b, h, n, d] and that many keys. */
  static boolean suits(Tensor q, long keys) {
    return takes(q) && (q.size(2) < MAX_QUERIES || keys <= FEW_KEYS);
  }

  /**
   * Attention over both sets of keys.
   *
   * @param q [b, h, n, d]
   * @param earlier or null for none
   * @param lse the log-sum-exp of each query's scaled scores [b, h, n], float32, is written to;
   *     null for none
   * @return [b, h, n, d], tokens before heads in memory; null if the keys lie irregularly
   */
  @Nullable Tensor attend(
      Tensor q, @Nullable Keys earlier, Keys current, double scale, @Nullable Tensor lse)
      throws CudaCompiler.Unavailable {
    if (!current.isRegular() || (earlier != null && !earlier.isRegular())) {
      return null;
    }
    Tensor out =
        Tensor.empty(
            q.backend(), q.dtype(), q.device(), q.size(0), q.size(2), q.size(1), q.size(3));
    launcher.launch(
        kernel(new Kind(q.dtype(), q.size(3), earlier != null && earlier.logs != null)),
        (q.size(2) + TILE - 1) / TILE,
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
        earlier == null || earlier.k.size(1) == 1 ? 0L : earlier.k.stride(1),
        earlier == null ? 0L : earlier.count,
        earlier == null ? null : earlier.slots,
        earlier == null ? null : earlier.ends,
        earlier == null ? null : earlier.logs,
        current.k,
        current.v,
        current.k.stride(0),
        current.k.stride(1),
        current.count);
    return out.transpose(1, 2);
  }

  private synchronized MemorySegment kernel(Kind kind) throws CudaCompiler.Unavailable {
    MemorySegment known = kernels.get(kind);
    if (known == null) {
      List<String> defines = new ArrayList<>(List.of("DIM=" + kind.dim));
      if (kind.counts) {
        defines.add("COUNTS");
      }
      known =
          launcher
              .compile("attention.cu", kind.dtype, defines.toArray(String[]::new))
              .kernel("attend");
      kernels.put(kind, known);
    }
    return known;
  }
}
