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
  // Blocks of attend_few that a multiprocessor has at once, and queries that each of its warps
  // does.
  private static final int RESIDENT = 2;
  private static final int WARP_QUERIES = 32;
  // Shared memory that a block may ask for, of data centres' devices and of others.
  private static final int MUCH_SHARED = 160 << 10;
  private static final int LITTLE_SHARED = 99 << 10;

  private final KernelLauncher launcher;
  private final int multiprocessors;
  private final int mostShared;
  private final Map<Kind, Kernels> kernels = new HashMap<>();

  private record Kind(DType dtype, long dim) {}

  private record Kernels(MemorySegment attend, MemorySegment few, @Nullable MemorySegment stored) {}

  /**
   * Keys and values that a row's head sees.
   *
   * @param k [rows, heads or 1, entries, head_dim]; entries of earlier keys lie one after another
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

    /** As they lie, or copies where kernels can't read them so. */
    static Keys readable(Tensor k, Tensor v) {
      Keys keys = of(k, v);
      return keys.isRegular() ? keys : of(k.contiguous(), v.contiguous());
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

    /** Whether keys and values lie alike, and their units of 8 channels together. */
    boolean isRegular() {
      return k.stride(3) == 1
          && k.stride(2) % 8 == 0
          && k.stride(0) == v.stride(0)
          && k.stride(1) == v.stride(1)
          && k.stride(2) == v.stride(2)
          && v.stride(3) == 1;
    }

    /** Whether they also lie one after another. */
    boolean isDense() {
      return isRegular() && k.stride(2) == k.size(3);
    }
  }

  SmallAttention(KernelLauncher launcher) {
    this.launcher = launcher;
    multiprocessors = launcher.multiprocessors();
    int capability = launcher.capability();
    mostShared = capability % 10 == 0 && capability < 120 ? MUCH_SHARED : LITTLE_SHARED;
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
    if (!current.isRegular() || (earlier != null && !earlier.isDense())) {
      return null;
    }
    Tensor out =
        Tensor.empty(
            q.backend(), q.dtype(), q.device(), q.size(0), q.size(2), q.size(1), q.size(3));
    Kernels own = kernels(new Kind(q.dtype(), q.size(3)));
    long shared = sharedOfFew(current.count, q.size(3));
    if (earlier == null
        && before == null
        && lse == null
        && shared <= mostShared
        && q.stride(2) % 8 == 0) {
      attendFew(own, q, current, scale, out, (int) shared);
      return out.transpose(1, 2);
    }
    launcher.launch(
        own.attend,
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
        current.k.stride(2),
        current.count,
        before == null ? null : before.output(),
        before == null ? 0L : before.output().stride(0),
        before == null ? 0L : before.output().stride(1),
        before == null ? 0L : before.output().stride(2),
        before == null ? null : before.lse().contiguous());
    return out.transpose(1, 2);
  }

  /** Bytes that keys and values of attend_few take, and two sets of queries of each warp. */
  private static long sharedOfFew(long keys, long dim) {
    long entries = 2 * TILE * Math.ceilDiv(keys, TILE) + THREADS / 32 * WARP_QUERIES;
    return entries * (dim + 8) * Short.BYTES;
  }

  private void attendFew(
      Kernels own, Tensor q, Keys current, double scale, Tensor out, int shared) {
    long sequences = q.size(0) * q.size(1);
    // As many blocks as run at once, all of which take about as many turns.
    long most = Math.max(1, (long) RESIDENT * multiprocessors / sequences);
    long turns = Math.ceilDiv(blocks(q.size(2)), most);
    launcher.launchWithMemory(
        shared,
        own.few,
        Math.ceilDiv(blocks(q.size(2)), turns),
        sequences,
        THREADS,
        q,
        q.stride(0),
        q.stride(1),
        q.stride(2),
        out,
        (int) q.size(2),
        (int) q.size(1),
        (float) scale,
        current.k,
        current.v,
        current.k.stride(0),
        current.k.stride(1),
        current.k.stride(2),
        (int) current.count);
  }

  /** What is compiled. */
  static KernelImages.Wanted wanted(KernelLauncher launcher, DType dtype, long dim) {
    return launcher.of(List.of("stored.cu", "tile.cu", "attention.cu"), dtype, "DIM=" + dim);
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
          new Kernels(
              module.kernel("attend"),
              module.kernel("attend_few", mostShared),
              isStored ? module.kernel("attend_stored") : null);
      kernels.put(kind, known);
    }
    return known;
  }
}
