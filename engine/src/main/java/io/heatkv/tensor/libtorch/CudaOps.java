package io.heatkv.tensor.libtorch;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.HeadRanges;
import io.heatkv.tensor.LevelMoves;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Ops.AttentionParts;
import io.heatkv.tensor.PlainOps;
import io.heatkv.tensor.Repeats;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.StoredStep;
import io.heatkv.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A CUDA device's steps: own kernels for chains of elementwise operators, compiled at first use,
 * and the fastest of libtorch's attention kernels. Shapes that the kernels don't take, and machines
 * without NVRTC, fall back to {@link PlainOps}.
 */
final class CudaOps implements DeviceOps {
  static final int THREADS = 256;
  // A block of add_norm holds a token in 4 units of 8 channels a thread.
  private static final int UNITS = 4;
  private static final int MAX_WIDTH = 1024 * UNITS * 8;

  private final LibTorch torch;
  private final CudaAttention attention;
  private final @Nullable CublasLt products;
  private final PlainOps plain = new PlainOps();
  private final CompiledKernels compiled;
  private final CudaMaps maps;
  private final Cuda cuda;
  private final int device;
  private final StableAbi abi;

  CudaOps(LibTorch torch, StableAbi abi, Cuda cuda, int device) {
    this.torch = torch;
    this.abi = abi;
    this.cuda = cuda;
    this.device = device;
    attention = new CudaAttention(torch, abi, cuda.capability(device));
    products = CublasLt.open(abi, cuda, device);
    compiled = new CompiledKernels(torch, cuda, device);
    maps = new CudaMaps(torch, compiled, attention);
  }

  @Override
  public void prepare(DType dtype, int headDim) {
    compiled.prepare(dtype, headDim);
  }

  @Override
  public void addGated(Tensor x, Tensor y, @Nullable Tensor gate) {
    CudaKernels own = compiled.of(y.dtype());
    if (own == null || !isWide(x)) {
      plain.addGated(x, y, gate);
      return;
    }
    own.addNorm(x, y.contiguous(), gate, null, null, null, 0);
  }

  @Override
  public Tensor norm(Tensor x, Tensor gain, Tensor shift, double eps, DType dtype) {
    CudaKernels own = compiled.of(dtype);
    if (own == null || !isWide(x)) {
      return plain.norm(x, gain, shift, eps, dtype);
    }
    Tensor out = Tensor.empty(torch, dtype, x.device(), x.shape());
    own.addNorm(x, null, null, gain.contiguous(), shift.contiguous(), out, eps);
    return out;
  }

  @Override
  public Tensor addNorm(
      Tensor x, Tensor y, @Nullable Tensor gate, Tensor gain, Tensor shift, double eps) {
    CudaKernels own = compiled.of(y.dtype());
    if (own == null || !isWide(x)) {
      return plain.addNorm(x, y, gate, gain, shift, eps);
    }
    Tensor out = Tensor.empty(torch, y.dtype(), x.device(), x.shape());
    own.addNorm(x, y.contiguous(), gate, gain.contiguous(), shift.contiguous(), out, eps);
    return out;
  }

  private static boolean isWide(Tensor x) {
    return x.size(-1) % 8 == 0 && x.size(-1) <= MAX_WIDTH && x.isContiguous();
  }

  @Override
  public Tensor linear(Tensor x, Tensor weight, Tensor bias) {
    Tensor y = product(x, weight, bias, false);
    return y == null ? plain.linear(x, weight, bias) : y;
  }

  @Override
  public Tensor linearGelu(Tensor x, Tensor weight, Tensor bias) {
    Tensor y = product(x, weight, bias, true);
    return y == null ? plain.linearGelu(x, weight, bias) : y;
  }

  private @Nullable Tensor product(Tensor x, Tensor weight, Tensor bias, boolean gelu) {
    if (products == null) {
      return null;
    }
    if (x.isContiguous()) {
      return products.linear(x, weight, bias, gelu);
    }
    try (Scope scope = Scope.open()) {
      Tensor y = products.linear(x.contiguous(), weight, bias, gelu);
      return y == null ? null : scope.keep(y);
    }
  }

  @Override
  public Heads splitHeads(
      Tensor projected,
      Tensor factors,
      Tensor positions,
      boolean normalise,
      @Nullable Place place) {
    CudaKernels own = compiled.of(projected.dtype());
    long tokens = projected.size(1);
    long heads = projected.size(3);
    long dim = projected.size(4);
    if (own == null
        || !isPower(dim)
        || !projected.isContiguous()
        || (place != null && place.keys().dtype() != projected.dtype())) {
      return plain.splitHeads(projected, factors, positions, normalise, place);
    }
    long units = heads * dim / 8;
    own.launch(
        own.splitHeads(),
        projected.size(0) * tokens,
        blocks(units),
        (int) Math.min(THREADS, (units + 31) / 32 * 32),
        projected,
        place == null ? null : place.keys(),
        place == null ? null : place.values(),
        factors,
        positions,
        place == null ? 0L : place.keys().stride(0),
        place == null ? 0L : place.keys().stride(1),
        (int) tokens,
        (int) heads,
        (int) dim,
        normalise ? 1 : 0);
    Tensor parts = projected.permute(2, 0, 3, 1, 4);
    return new Heads(
        parts.select(0, 0),
        place == null ? parts.select(0, 1) : place.keys(),
        place == null ? parts.select(0, 2) : place.values());
  }

  /** The lanes of a head must be a power of two that divides a warp. */
  private static boolean isPower(long dim) {
    return dim >= 8 && dim <= 256 && Long.bitCount(dim) == 1;
  }

  @Override
  public void append(Tensor keys, Tensor values, long start, Tensor k, Tensor v) {
    CudaKernels own = compiled.of(k.dtype());
    if (own == null
        || k.size(3) % 8 != 0
        || keys.dtype() != k.dtype()
        || keys.stride(2) != k.size(3)
        || keys.stride(3) != 1) {
      plain.append(keys, values, start, k, v);
      return;
    }
    long units = k.count() / 8;
    try (Scope _ = Scope.open()) {
      var current = SmallAttention.Keys.readable(k, v);
      own.launch(
          own.append(),
          blocks(units),
          1,
          THREADS,
          keys,
          values,
          current.k(),
          current.v(),
          current.k().stride(0),
          current.k().stride(1),
          current.k().stride(2),
          units,
          keys.stride(0),
          keys.stride(1),
          start,
          (int) k.size(1),
          (int) k.size(2),
          (int) k.size(3));
    }
  }

  @Override
  public Tensor joinHeads(Tensor attended) {
    CudaKernels own = compiled.of(attended.dtype());
    Tensor out = attended.transpose(1, 2);
    if (own != null
        && attended.size(3) % 8 == 0
        && !out.isContiguous()
        && attended.isContiguous()) {
      out = tokensFirst(attended);
      own.joinHeads(attended, null, null, null, null, out, null);
    }
    return out.reshape(attended.size(0), attended.size(2), attended.size(1) * attended.size(3));
  }

  @Override
  public Tensor attention(Tensor q, Tensor k, Tensor v, double scale) {
    Tensor small = compiled.attend(q, null, SmallAttention.Keys.of(k, v), scale, null);
    if (small != null) {
      return small;
    }
    try (Scope scope = Scope.open()) {
      return scope.keep(attention.dense(q, k, v, scale).output());
    }
  }

  @Override
  public AttentionParts attentionWithLse(Tensor q, Tensor k, Tensor v, double scale) {
    Tensor lse = sums(q);
    Tensor small = compiled.attend(q, null, SmallAttention.Keys.of(k, v), scale, lse);
    return small != null ? new AttentionParts(small, lse) : attention.dense(q, k, v, scale);
  }

  /** Room for the log-sum-exp of each query's scores [b, h, n]. */
  private Tensor sums(Tensor q) {
    return Tensor.empty(torch, DType.F32, q.device(), q.size(0), q.size(1), q.size(2));
  }

  @Override
  public Tensor attentionOverBoth(
      Tensor q, Tensor k, Tensor v, Tensor earlierKeys, Tensor earlierValues, double scale) {
    return overBoth(q, k, v, earlierKeys, earlierValues, scale, null);
  }

  @Override
  public AttentionParts attentionOverBothWithLse(
      Tensor q, Tensor k, Tensor v, Tensor earlierKeys, Tensor earlierValues, double scale) {
    Tensor lse = sums(q);
    return new AttentionParts(overBoth(q, k, v, earlierKeys, earlierValues, scale, lse), lse);
  }

  private Tensor overBoth(
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor earlierKeys,
      Tensor earlierValues,
      double scale,
      @Nullable Tensor lse) {
    Tensor small =
        compiled.attend(
            q,
            SmallAttention.Keys.of(earlierKeys, earlierValues),
            SmallAttention.Keys.of(k, v),
            scale,
            lse);
    if (small != null) {
      return small;
    }
    try (Scope scope = Scope.open()) {
      return scope.keep(
          merge(
              attention.dense(q, k, v, scale),
              attention.dense(q, earlierKeys, earlierValues, scale),
              null,
              lse));
    }
  }

  @Override
  public boolean joinsKeys() {
    return false;
  }

  @Override
  public Tensor attentionOverRetained(
      Tensor q, Tensor k, Tensor v, Tensor retained, HeadRanges ranges, double scale) {
    if (ranges.longest() == 0) {
      return attention(q, k, v, scale);
    }
    Tensor small =
        compiled.attend(
            q,
            SmallAttention.Keys.ofRow(retained, null, ranges),
            SmallAttention.Keys.of(k, v),
            scale,
            null);
    if (small != null) {
      return small;
    }
    try (Scope scope = Scope.open()) {
      return scope.keep(
          merge(
              attention.dense(q, k, v, scale),
              attention.ragged(q, retained, ranges, scale),
              ranges.keyEnds(),
              null));
    }
  }

  @Override
  public Tensor attentionOverSlots(
      Tensor q, Tensor k, Tensor v, Tensor arena, Tensor slots, HeadRanges ranges, double scale) {
    Tensor small =
        compiled.attend(
            q,
            SmallAttention.Keys.ofRow(arena, slots, ranges),
            SmallAttention.Keys.of(k, v),
            scale,
            null);
    return small != null
        ? small
        : DeviceOps.super.attentionOverSlots(q, k, v, arena, slots, ranges, scale);
  }

  /**
   * Joins attention over disjoint keys.
   *
   * @param ends of the second part's keys; heads without any take the first part; null for none
   * @param lse that of both is written to; null for none, and where {@code ends} are given
   */
  private Tensor merge(
      AttentionParts a, AttentionParts b, @Nullable Tensor ends, @Nullable Tensor lse) {
    Tensor first = withUnits(a.output());
    Tensor second = withUnits(b.output());
    CudaKernels own = compiled.of(first.dtype());
    if (own == null || first.size(3) % 8 != 0) {
      if (lse != null) {
        lse.copyFrom(Ops.logSumExp(Ops.stack(0, a.lse(), b.lse()), 0).select(0, 0));
      }
      return plain.merge(first, a.lse(), second, b.lse(), ends);
    }
    Tensor out = tokensFirst(first);
    own.joinHeads(first, a.lse().contiguous(), second, b.lse().contiguous(), ends, out, lse);
    return out.transpose(1, 2);
  }

  /** With the units of 8 channels of a query together. */
  private static Tensor withUnits(Tensor x) {
    return x.stride(3) == 1 && x.stride(2) % 8 == 0 && x.stride(1) % 8 == 0 ? x : x.contiguous();
  }

  private Tensor tokensFirst(Tensor attended) {
    return Tensor.empty(
        torch,
        attended.dtype(),
        attended.device(),
        attended.size(0),
        attended.size(2),
        attended.size(1),
        attended.size(3));
  }

  @Override
  public Tensor columnSums(Tensor q, Tensor k, @Nullable Tensor earlier, @Nullable Tensor lse) {
    SumKernels own = compiled.sums(q.dtype(), (int) q.size(3));
    return own == null ? plain.columnSums(q, k, earlier, lse) : own.columnSums(q, k, earlier, lse);
  }

  @Override
  public boolean sumsByLse(Tensor q) {
    return compiled.sums(q.dtype(), (int) q.size(3)) != null;
  }

  @Override
  public Arranged arrange(Tensor kept, int pictureRows, int held, int count, Tensor numbers) {
    CudaKernels own = compiled.of(DType.F32);
    Arranged arranged = own == null ? null : own.arrange(kept, pictureRows, held, count);
    return arranged == null ? plain.arrange(kept, pictureRows, held, count, numbers) : arranged;
  }

  @Override
  public Tensor gatherSlots(Tensor arena, Tensor slots) {
    CudaKernels own = compiled.of(arena.dtype());
    if (own == null || arena.size(3) % 8 != 0) {
      return plain.gatherSlots(arena, slots);
    }
    return own.gatherSlots(arena, slots);
  }

  @Override
  public void scatterSlots(Tensor arena, Tensor slots, Tensor heads, Tensor k, Tensor v) {
    CudaKernels own = compiled.of(arena.dtype());
    if (own == null || arena.size(3) % 8 != 0 || k.dtype() != arena.dtype()) {
      plain.scatterSlots(arena, slots, heads, k, v);
      return;
    }
    own.scatterSlots(arena, slots, heads, k, v);
  }

  @Override
  public void replaceSlots(
      Tensor arena, Tensor slots, Tensor entries, @Nullable Tensor held, Tensor k, Tensor v) {
    CudaKernels own = compiled.of(arena.dtype());
    if (own == null || arena.size(3) % 8 != 0 || k.dtype() != arena.dtype()) {
      plain.replaceSlots(arena, slots, entries, held, k, v);
    } else {
      own.replaceSlots(arena, slots, entries, held, k, v);
    }
  }

  @Override
  public Tensor groupNorm(
      Tensor x, int groups, Tensor weight, Tensor bias, double eps, boolean silu) {
    CudaKernels own = compiled.of(x.dtype());
    Tensor y = CudaPictures.groupNorm(own, x, groups, weight, bias, eps, silu);
    return y == null ? plain.groupNorm(x, groups, weight, bias, eps, silu) : y;
  }

  @Override
  public Tensor convolutionWeight(Tensor weight) {
    return CudaPictures.convolutionWeight(weight);
  }

  @Override
  public boolean drawUniforms(Tensor out, long[] seeds, int scale) {
    CudaKernels own = compiled.of(DType.F32);
    if (own == null) {
      return false;
    }
    own.drawUniforms(out, seeds, scale);
    return true;
  }

  @Override
  public Tensor attendAndStore(
      Tensor q, Tensor k, Tensor v, Tensor arena, StoredStep step, Tensor tables, double scale) {
    return maps.attendAndStore(this, q, k, v, arena, step, tables, scale);
  }

  @Override
  public long workspace(Tensor k, StoredStep step) {
    return maps.workspace(k, step);
  }

  @Override
  public Tensor quantise(Tensor x) {
    return maps.quantise(x);
  }

  @Override
  public Tensor dequantise(Tensor bytes, DType dtype) {
    return maps.dequantise(bytes, dtype);
  }

  @Override
  public @Nullable LevelMoves levelMoves(
      LevelMoves.Maps maps, DType dtype, int headDim, Scope storage) {
    boolean isHalf = dtype == DType.BF16 || dtype == DType.F16;
    LevelKernels own = isHalf && maps.sources() > 0 ? compiled.levels(headDim) : null;
    return own == null ? null : new CudaLevels(torch, own, maps, headDim, storage);
  }

  @Override
  public Repeats repeats(long bytes) {
    return new CudaGraphs(new CudaGraphDriver(abi, cuda, Device.cuda(device), bytes));
  }

  static long blocks(long units) {
    return (units + THREADS - 1) / THREADS;
  }

  @Override
  public String description() {
    return compiled.description();
  }
}
