package io.heatkv.tensor.libtorch;

import io.heatkv.error.UserException;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Ops.AttentionParts;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.StoredMaps;
import io.heatkv.tensor.Tensor;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Stored maps on a CUDA device: decoded to a workspace for attention, encoded where a scale is
 * written.
 */
final class CudaMaps {
  private static final int THREADS = 256;
  private static final int LARGEST_DIM = 256;
  // Blocks that share a map which is decoded: its entries are read independently.
  private static final int SPLIT = 4;

  private final LibTorch torch;
  private final CompiledKernels compiled;

  CudaMaps(LibTorch torch, CompiledKernels compiled) {
    this.torch = torch;
    this.compiled = compiled;
  }

  /**
   * Maps in a workspace.
   *
   * @param both keys and values [2, rows, entries, head_dim]
   * @param logs of the tokens that entries stand for, float32 [entries]; null where it is one
   */
  private record Decoded(Tensor both, @Nullable Tensor logs) {}

  /**
   * See {@link io.heatkv.tensor.DeviceOps#attentionOverMaps}.
   *
   * @param merge joins attention to the maps with that to the current keys
   */
  Tensor attend(
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor arena,
      StoredMaps maps,
      double scale,
      Function<AttentionParts, Tensor> merge) {
    try (Scope scope = Scope.open()) {
      Decoded decoded = decode(arena, q.size(0), maps, q.dtype());
      SmallAttention.Keys earlier = SmallAttention.Keys.ofMaps(decoded.both, maps, decoded.logs);
      Tensor small = compiled.attend(q, earlier, SmallAttention.Keys.of(k, v), scale, null);
      if (small != null) {
        return scope.keep(small);
      }
      Tensor lse = Tensor.empty(torch, DType.F32, q.device(), q.size(0), q.size(1), q.size(2));
      Tensor others =
          compiled.attendEarlier(q, earlier, SmallAttention.Keys.none(k, v), scale, lse);
      return scope.keep(
          others == null
              ? byHeads(q, k, v, decoded, maps, scale)
              : merge.apply(new AttentionParts(others, lse)));
    }
  }

  /** Decodes the maps of the first rows. */
  private Decoded decode(Tensor arena, long rows, StoredMaps maps, DType dtype) {
    MapKernels own = kernels(arena, dtype);
    int dim = dim(arena);
    long entries = maps.entries();
    Tensor both = Tensor.empty(torch, dtype, arena.device(), 2, rows, entries, dim);
    Tensor logs = maps.isPooled() ? Tensor.empty(torch, DType.F32, arena.device(), entries) : null;
    own.launcher()
        .launch(
            own.decodeMaps(),
            (long) maps.maps().size() * SPLIT,
            2 * rows,
            THREADS,
            arena,
            arena.stride(0),
            maps.table(),
            maps.heads(),
            both,
            logs,
            entries,
            (int) rows,
            dim,
            isBrain(maps),
            SPLIT);
    return new Decoded(both, logs);
  }

  /** Encodes the current scale. */
  void encode(Tensor arena, StoredMaps maps, Tensor k, Tensor v) {
    try (Scope _ = Scope.open()) {
      Tensor keys = k.contiguous();
      encode(arena, k.size(0), maps, null, keys, v.contiguous(), keys.stride(0), keys.stride(1));
    }
  }

  /** Encodes maps of the first rows again. */
  void move(Tensor arena, long rows, StoredMaps from, StoredMaps to) {
    try (Scope _ = Scope.open()) {
      Tensor both = decode(arena, rows, from, DType.F32).both();
      encode(arena, rows, to, from, both.select(0, 0), both.select(0, 1), both.stride(1), 0);
    }
  }

  private void encode(
      Tensor arena,
      long rows,
      StoredMaps maps,
      @Nullable StoredMaps sources,
      Tensor k,
      Tensor v,
      long rowStride,
      long headStride) {
    MapKernels own = kernels(arena, k.dtype());
    int dim = dim(arena);
    own.launcher()
        .launch(
            own.encodeMaps(),
            (long) maps.maps().size() * (dim / 8),
            2 * rows,
            THREADS,
            arena,
            arena.stride(0),
            maps.table(),
            sources == null ? null : sources.table(),
            maps.heads(),
            k,
            v,
            rowStride,
            headStride,
            dim,
            isBrain(maps));
  }

  /** Attention where no own kernel takes the type: heads one by one. */
  private Tensor byHeads(
      Tensor q, Tensor k, Tensor v, Decoded earlier, StoredMaps maps, double scale) {
    Tensor out =
        Tensor.empty(torch, q.dtype(), q.device(), q.size(0), q.size(2), q.size(1), q.size(3))
            .transpose(1, 2);
    long start = 0;
    for (int head = 0; head < maps.heads(); head++) {
      long count = maps.length(head);
      try (Scope _ = Scope.open()) {
        Tensor own = earlier.both.narrow(2, start, count).unsqueeze(2);
        Tensor keys = Ops.cat(2, own.select(0, 0), k.narrow(1, head, 1));
        Tensor values = Ops.cat(2, own.select(0, 1), v.narrow(1, head, 1));
        Tensor mask = null;
        if (earlier.logs != null) {
          // Kernels want whole masks, and rows of 16 bytes.
          mask = Tensor.full(torch, 0, q.dtype(), q.device(), 1, 1, 1, (keys.size(2) + 7) / 8 * 8);
          mask.narrow(3, 0, count).copyFrom(earlier.logs.narrow(0, start, count));
          mask = mask.narrow(3, 0, keys.size(2)).expand(q.size(0), 1, q.size(2), keys.size(2));
        }
        out.narrow(1, head, 1)
            .copyFrom(Ops.attention(q.narrow(1, head, 1), keys, values, mask, scale));
      }
      start += count;
    }
    return out;
  }

  /** See {@link io.heatkv.tensor.DeviceOps#quantise}. */
  Tensor quantise(Tensor x) {
    int dim = (int) x.size(-1);
    MapKernels own = kernels(dim, x.dtype());
    long[] shape = x.shape();
    shape[shape.length - 1] += 2;
    Tensor bytes = Tensor.empty(torch, DType.U8, x.device(), shape);
    long units = x.count() / 8;
    try (Scope _ = Scope.open()) {
      own.launcher()
          .launch(
              own.quantise(), CudaOps.blocks(units), 1, THREADS, x.contiguous(), bytes, units, dim);
    }
    return bytes;
  }

  /** See {@link io.heatkv.tensor.DeviceOps#dequantise}. */
  Tensor dequantise(Tensor bytes, DType dtype) {
    long[] shape = bytes.shape();
    shape[shape.length - 1] -= 2;
    int dim = (int) shape[shape.length - 1];
    MapKernels own = kernels(dim, dtype);
    Tensor x = Tensor.empty(torch, dtype, bytes.device(), shape);
    long units = x.count() / 8;
    try (Scope _ = Scope.open()) {
      own.launcher()
          .launch(
              own.dequantise(),
              CudaOps.blocks(units),
              1,
              THREADS,
              bytes.contiguous(),
              x,
              units,
              dim);
    }
    return x;
  }

  private MapKernels kernels(Tensor arena, DType dtype) {
    return kernels(dim(arena), dtype);
  }

  private MapKernels kernels(int dim, DType dtype) {
    if (dim < 8 || dim > LARGEST_DIM || Integer.bitCount(dim) != 1) {
      throw new UserException(
          "a KV cache in few bits takes heads of 8, 16, 32, 64, 128 or 256 channels on CUDA, not "
              + dim
              + "; choose another policy or KV store, or the CPU");
    }
    return compiled.maps(dtype);
  }

  private static int dim(Tensor arena) {
    return 2 * (int) arena.size(2);
  }

  private static int isBrain(StoredMaps maps) {
    return maps.half() == DType.BF16 ? 1 : 0;
  }
}
