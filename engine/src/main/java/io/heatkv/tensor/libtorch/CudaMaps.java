package io.heatkv.tensor.libtorch;

import io.heatkv.error.UserException;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Ops.AttentionParts;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.StoredStep;
import io.heatkv.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Stored maps on a CUDA device. Few queries decode what they attend to as they read it, which takes
 * no launch more than attention does. More of them would decode it many times: for them, and in
 * float32, it is decoded to tiles before. Attention of many queries to current keys has a kernel of
 * its own, whose result that over the tiles takes in.
 */
final class CudaMaps {
  private static final int THREADS = 256;
  private static final int LARGEST_DIM = 256;
  private static final int MANY_QUERIES = 512;
  private static final int FEW_QUERIES = 64;
  // From so many rows on, blocks decode several of them, whose tables they read once.
  private static final int MANY_ROWS = 16;
  private static final int ROWS_EACH = 4;
  // Of stored.cu, encode.cu and wide.cu.
  private static final int SPLIT = 4;
  private static final int WARPS = 8;
  private static final int CHUNK = 16;
  // A block of attend_tiles has so many queries at a time.
  private static final int WIDE_QUERIES = 128;
  private static final int LEAST_WIDE_QUERIES = 256;
  private static final int WIDE_THREADS = 384;
  private static final double LN_2 = Math.log(2);

  private final LibTorch torch;
  private final CompiledKernels compiled;
  private final CudaAttention attention;

  CudaMaps(LibTorch torch, CompiledKernels compiled, CudaAttention attention) {
    this.torch = torch;
    this.compiled = compiled;
    this.attention = attention;
  }

  /** One step of a layer: what its kernels share. */
  private record Call(
      MapKernels own,
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor arena,
      StoredStep step,
      KernelLauncher.Pointer table,
      double scale) {
    long rows() {
      return q.size(0);
    }

    int dim() {
      return (int) q.size(3);
    }

    int isBrain() {
      return step.half() == DType.BF16 ? 1 : 0;
    }

    /** Shares of a row's moved maps. */
    long movedShares() {
      return (long) step.from().size() * SPLIT;
    }
  }

  /** See {@link DeviceOps#attendAndStore}; {@code ops} attend where nothing is stored. */
  Tensor attendAndStore(
      DeviceOps ops,
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor arena,
      StoredStep step,
      Tensor tables,
      double scale) {
    try (Scope scope = Scope.open()) {
      MapKernels own = kernels((int) q.size(3), q.dtype());
      var table = new KernelLauncher.Pointer(tables, (long) step.place() * Integer.BYTES);
      var current = SmallAttention.Keys.readable(k, v);
      Call call = new Call(own, q, current.k(), current.v(), arena, step, table, scale);
      Tensor moved =
          step.from().isEmpty()
              ? null
              : Tensor.empty(torch, DType.U8, q.device(), q.size(0), step.copied(), q.size(3) / 2);
      MemorySegment wide = isWide(call) ? own.attendTiles() : null;
      MemorySegment small = q.stride(3) == 1 ? own.attendStored() : null;
      Tensor out;
      if (step.reads().isEmpty()) {
        out = ops.attention(q, k, v, scale);
        copyMoved(call, moved);
      } else if (wide != null) {
        out = overTiles(call, wide, moved);
      } else if (small != null && q.size(2) <= FEW_QUERIES) {
        out = whileDecoding(call, small, moved);
      } else {
        out = decodedBefore(call, moved);
      }
      if (!step.to().isEmpty()) {
        encode(call, moved);
      }
      return scope.keep(out);
    }
  }

  /** See {@link DeviceOps#workspace}. */
  long workspace(Tensor k, StoredStep step) {
    MapKernels own = kernels((int) k.size(3), k.dtype());
    long moved = k.size(0) * step.copied() * k.size(3) / 2;
    boolean isCopied = k.size(2) > FEW_QUERIES || own.attendStored() == null;
    long entries = (long) step.tiles() * StoredStep.TILE;
    long each = 2L * k.size(0) * k.size(3) * k.dtype().bytes() + DType.F32.bytes();
    return moved + (isCopied ? entries * each : 0);
  }

  /** Whether attention to tiles has parts enough to be worth a launch more. */
  private static boolean isWide(Call call) {
    long queries = call.q.size(2);
    return queries >= MANY_QUERIES
        || (queries >= LEAST_WIDE_QUERIES && 2 * wideParts(call) >= call.own.multiprocessors());
  }

  /** Blocks of queries of all rows and heads. */
  private static long wideParts(Call call) {
    return Math.ceilDiv(call.q.size(2), WIDE_QUERIES) * call.q.size(0) * call.q.size(1);
  }

  private void copyMoved(Call call, @Nullable Tensor moved) {
    if (moved != null) {
      StoredStep step = call.step;
      call.own
          .launcher()
          .launch(
              call.own.copyMaps(),
              call.movedShares(),
              call.rows(),
              THREADS,
              call.arena,
              call.arena.stride(0),
              call.table,
              step.heads(),
              step.reads().size(),
              step.from().size(),
              step.to().size(),
              moved,
              step.copied());
    }
  }

  private Tensor whileDecoding(Call call, MemorySegment kernel, @Nullable Tensor moved) {
    StoredStep step = call.step;
    Tensor q = call.q;
    Tensor out = tokensFirst(q);
    call.own
        .launcher()
        .launch(
            kernel,
            SmallAttention.blocks(q.size(2)) + Math.ceilDiv(call.movedShares(), step.heads()),
            q.size(0) * q.size(1),
            SmallAttention.THREADS,
            q,
            q.stride(0),
            q.stride(1),
            q.stride(2),
            out,
            (int) q.size(2),
            step.heads(),
            (float) call.scale,
            call.arena,
            call.arena.stride(0),
            call.table,
            step.reads().size(),
            step.from().size(),
            step.to().size(),
            moved,
            step.copied(),
            call.k,
            call.v,
            call.k.stride(0),
            call.k.stride(1),
            call.k.stride(2),
            call.k.size(2),
            call.isBrain());
    return out.transpose(1, 2);
  }

  private Tensor tokensFirst(Tensor q) {
    return Tensor.empty(torch, q.dtype(), q.device(), q.size(0), q.size(2), q.size(1), q.size(3));
  }

  /**
   * What heads read, in tiles.
   *
   * @param both keys and values [rows, 2, tiles, 128, head_dim]
   * @param added to scores of entries, in units of the logarithm to base 2 [tiles, 128]; for {@code
   *     attend_tiles} what entries count
   */
  private record Tiles(Tensor both, Tensor added) {}

  private Tiles decode(Call call, @Nullable Tensor moved, boolean swizzled) {
    StoredStep step = call.step;
    Tensor both =
        Tensor.empty(
            torch,
            call.q.dtype(),
            call.q.device(),
            call.rows(),
            2,
            step.tiles(),
            StoredStep.TILE,
            call.dim());
    Tensor added = Tensor.empty(torch, DType.F32, call.q.device(), step.tiles(), StoredStep.TILE);
    call.own
        .launcher()
        .launch(
            call.own.decodeTiles(),
            2L * step.tiles() + call.movedShares(),
            call.rows() < MANY_ROWS ? call.rows() : Math.ceilDiv(call.rows(), ROWS_EACH),
            THREADS,
            call.arena,
            call.arena.stride(0),
            call.table,
            step.heads(),
            step.reads().size(),
            step.from().size(),
            step.to().size(),
            both,
            added,
            step.tiles(),
            moved,
            step.copied(),
            (int) call.rows(),
            call.isBrain(),
            swizzled ? 1 : 0);
    return new Tiles(both, added);
  }

  private Tensor overTiles(Call call, MemorySegment kernel, @Nullable Tensor moved) {
    Tensor q = call.q;
    Tiles tiles = decode(call, moved, true);
    AttentionParts current = attention.dense(q, call.k, call.v, call.scale);
    Tensor other = current.output();
    Tensor out = tokensFirst(q);
    call.own
        .launcher()
        .launchWithMemory(
            MapKernels.TILES_BYTES,
            kernel,
            Math.min(wideParts(call), call.own.multiprocessors()),
            1,
            WIDE_THREADS,
            q,
            q.stride(0),
            q.stride(1),
            q.stride(2),
            out,
            (int) q.size(2),
            call.step.heads(),
            (float) call.scale,
            tiles.both,
            tiles.added,
            call.step.tiles(),
            call.table,
            other,
            other.stride(0),
            other.stride(1),
            other.stride(2),
            current.lse().contiguous(),
            (int) q.size(0));
    return out.transpose(1, 2);
  }

  /** Attention over what was decoded before. */
  private Tensor decodedBefore(Call call, @Nullable Tensor moved) {
    Tiles tiles = decode(call, moved, false);
    Tensor out = overDecoded(call, tiles);
    return out == null ? byHeads(call, tiles) : out;
  }

  /**
   * In half precision many queries attend to current keys by another kernel.
   *
   * @return null where no own kernel takes the type or the heads
   */
  private @Nullable Tensor overDecoded(Call call, Tiles tiles) {
    long ends = call.table.bytes() + (call.step.heads() + 1L) * Integer.BYTES;
    SmallAttention.Keys earlier =
        SmallAttention.Keys.ofTiles(
            tiles.both, tiles.added, new KernelLauncher.Pointer(call.table.tensor(), ends));
    SmallAttention.Keys current = SmallAttention.Keys.of(call.k, call.v);
    if (call.q.dtype() == DType.F32) {
      return compiled.attendFloats(call.q, earlier, current, call.scale, null);
    }
    if (call.own.attendStored() == null || call.q.stride(3) != 1) {
      return null;
    }
    boolean isMany = call.q.size(2) >= MANY_QUERIES;
    return compiled.attendAny(
        call.q,
        earlier,
        isMany ? SmallAttention.Keys.none(call.k, call.v) : current,
        isMany ? attention.dense(call.q, call.k, call.v, call.scale) : null,
        call.scale,
        null);
  }

  /** Attention where no own kernel takes the type: heads one by one. */
  private Tensor byHeads(Call call, Tiles tiles) {
    Tensor q = call.q;
    StoredStep step = call.step;
    Tensor both = tiles.both.reshape(call.rows(), 2, -1, call.dim());
    // Kernels want whole masks, and rows of 16 bytes.
    Tensor added = tiles.added.reshape(-1).mul(LN_2).to(q.dtype());
    Tensor out = tokensFirst(q).transpose(1, 2);
    long start = 0;
    for (int head = 0; head < step.heads(); head++) {
      long count = step.length(head);
      try (Scope _ = Scope.open()) {
        Tensor own = both.narrow(2, start, count).unsqueeze(2);
        Tensor keys = Ops.cat(2, own.select(1, 0), call.k.narrow(1, head, 1));
        Tensor values = Ops.cat(2, own.select(1, 1), call.v.narrow(1, head, 1));
        Tensor mask =
            Tensor.full(torch, 0, q.dtype(), q.device(), 1, 1, 1, (keys.size(2) + 7) / 8 * 8);
        mask.narrow(3, 0, count).copyFrom(added.narrow(0, start, count));
        Tensor whole =
            mask.narrow(3, 0, keys.size(2)).expand(q.size(0), 1, q.size(2), keys.size(2));
        out.narrow(1, head, 1)
            .copyFrom(Ops.attention(q.narrow(1, head, 1), keys, values, whole, call.scale));
      }
      start += Math.ceilDiv(count, StoredStep.TILE) * StoredStep.TILE;
    }
    return out;
  }

  private void encode(Call call, @Nullable Tensor moved) {
    StoredStep step = call.step;
    int large = step.large(call.rows());
    long each = 2 * call.rows() * Math.max(1, call.dim() / CHUNK);
    call.own
        .launcher()
        .launch(
            call.own.encodeMaps(),
            large * each + Math.ceilDiv((step.to().size() - large) * each, WARPS),
            1,
            THREADS,
            call.arena,
            call.arena.stride(0),
            call.table,
            step.heads(),
            step.reads().size(),
            step.from().size(),
            step.to().size(),
            large,
            moved,
            step.copied(),
            call.k,
            call.v,
            call.k.stride(0),
            call.k.stride(1),
            call.k.stride(2),
            (int) call.rows(),
            call.isBrain());
  }

  /** See {@link DeviceOps#quantise}. */
  Tensor quantise(Tensor x) {
    MapKernels own = kernels((int) x.size(-1), x.dtype());
    long[] shape = x.shape();
    shape[shape.length - 1] += 2;
    Tensor bytes = Tensor.empty(torch, DType.U8, x.device(), shape);
    long units = x.count() / 8;
    try (Scope _ = Scope.open()) {
      own.launcher()
          .launch(own.quantise(), CudaOps.blocks(units), 1, THREADS, x.contiguous(), bytes, units);
    }
    return bytes;
  }

  /** See {@link DeviceOps#dequantise}. */
  Tensor dequantise(Tensor bytes, DType dtype) {
    long[] shape = bytes.shape();
    shape[shape.length - 1] -= 2;
    MapKernels own = kernels((int) shape[shape.length - 1], dtype);
    Tensor x = Tensor.empty(torch, dtype, bytes.device(), shape);
    long units = x.count() / 8;
    try (Scope _ = Scope.open()) {
      own.launcher()
          .launch(
              own.dequantise(), CudaOps.blocks(units), 1, THREADS, bytes.contiguous(), x, units);
    }
    return x;
  }

  private MapKernels kernels(int dim, DType dtype) {
    if (dim < 8 || dim > LARGEST_DIM || Integer.bitCount(dim) != 1) {
      throw new UserException(
          "a KV cache in few bits takes heads of 8, 16, 32, 64, 128 or 256 channels on CUDA, not "
              + dim
              + "; choose another policy or KV store, or the CPU");
    }
    return compiled.maps(dtype, dim);
  }
}
