package io.heatkv.tensor.libtorch;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The kernels of {@code blocks.cu} for one type of activations. */
record CudaKernels(
    KernelLauncher launcher,
    MemorySegment addNorm,
    MemorySegment splitHeads,
    MemorySegment joinHeads,
    MemorySegment append,
    MemorySegment gatherSlots,
    MemorySegment scatterSlots,
    MemorySegment replaceSlots,
    MemorySegment arrange,
    MemorySegment drawUniforms,
    MemorySegment channelSums,
    MemorySegment groupFactors,
    MemorySegment scale) {
  // What a block has unless it asks for more.
  private static final int MAX_SHARED = 48 << 10;

  static CudaKernels load(KernelLauncher launcher, DType dtype) throws CudaCompiler.Unavailable {
    CudaCompiler.Module module = launcher.load(wanted(launcher, dtype));
    return new CudaKernels(
        launcher,
        module.kernel("add_norm"),
        module.kernel("split_heads"),
        module.kernel("join_heads"),
        module.kernel("append"),
        module.kernel("gather_slots"),
        module.kernel("scatter_slots"),
        module.kernel("replace_slots"),
        module.kernel("arrange"),
        module.kernel("draw_uniforms"),
        module.kernel("channel_sums"),
        module.kernel("group_factors"),
        module.kernel("scale_maps"));
  }

  /** What is compiled. */
  static KernelImages.Wanted wanted(KernelLauncher launcher, DType dtype) {
    return launcher.of(List.of("blocks.cu"), dtype);
  }

  /** See {@code add_norm}; null where a step is left out. */
  void addNorm(
      Tensor x,
      @Nullable Tensor y,
      @Nullable Tensor gate,
      @Nullable Tensor gain,
      @Nullable Tensor shift,
      @Nullable Tensor out,
      double eps) {
    int width = (int) x.size(2);
    // Two units a thread keep more blocks busy than four; wide tokens need all.
    int wanted = (width / 8 + 1) / 2;
    int threads = Math.min(1024, (wanted + 31) / 32 * 32);
    launch(
        addNorm,
        x.size(0) * x.size(1),
        1,
        threads,
        x,
        y,
        gate == null ? null : gate.contiguous(),
        gain,
        shift,
        out,
        width,
        (int) x.size(1),
        width,
        gain != null && gain.rank() > 1 ? width : 0,
        (float) eps);
  }

  /**
   * See {@code join_heads}: copies a, or joins it with b by their log-sum-exps.
   *
   * @param a [rows, heads, tokens, dim], units of 8 channels together
   * @param ends of b's keys by head; null where all have some
   * @param out [rows, tokens, heads, dim]
   * @param lse takes those of both
   */
  void joinHeads(
      Tensor a,
      @Nullable Tensor lseA,
      @Nullable Tensor b,
      @Nullable Tensor lseB,
      @Nullable Tensor ends,
      Tensor out,
      @Nullable Tensor lse) {
    long units = a.count() / 8;
    launch(
        joinHeads,
        CudaOps.blocks(units),
        1,
        CudaOps.THREADS,
        a,
        a.stride(0),
        a.stride(1),
        a.stride(2),
        lseA,
        b,
        b == null ? 0L : b.stride(0),
        b == null ? 0L : b.stride(1),
        b == null ? 0L : b.stride(2),
        lseB,
        ends,
        out,
        lse,
        units,
        (int) a.size(2),
        (int) a.size(1),
        (int) a.size(3));
  }

  /** Entries between the keys and the values of an arena: rows that are served no longer. */
  private static long gap(Tensor arena) {
    return arena.stride(0) / arena.size(3) - arena.size(1) * arena.size(2);
  }

  /** See {@link DeviceOps#gatherSlots}. */
  Tensor gatherSlots(Tensor arena, Tensor slots) {
    Tensor out =
        Tensor.empty(
            arena.backend(),
            arena.dtype(),
            arena.device(),
            2,
            arena.size(1),
            slots.count(),
            arena.size(3));
    long units = out.count() / 8;
    launch(
        gatherSlots,
        CudaOps.blocks(units),
        1,
        CudaOps.THREADS,
        arena,
        slots,
        out,
        units,
        arena.size(2),
        slots.count(),
        gap(arena),
        (int) arena.size(1),
        (int) arena.size(3));
    return out;
  }

  /** See {@link DeviceOps#scatterSlots}. */
  void scatterSlots(Tensor arena, Tensor slots, Tensor heads, Tensor k, Tensor v) {
    long units = 2 * arena.size(1) * slots.count() * arena.size(3) / 8;
    try (Scope _ = Scope.open()) {
      var current = SmallAttention.Keys.readable(k, v);
      launch(
          scatterSlots,
          CudaOps.blocks(units),
          1,
          CudaOps.THREADS,
          arena,
          slots,
          heads,
          current.k(),
          current.v(),
          current.k().stride(0),
          current.k().stride(1),
          current.k().stride(2),
          units,
          arena.size(2),
          slots.count(),
          gap(arena),
          (int) arena.size(1),
          (int) k.size(1),
          (int) k.size(2),
          (int) k.size(3));
    }
  }

  /** See {@link DeviceOps#replaceSlots}. */
  void replaceSlots(
      Tensor arena, Tensor slots, Tensor entries, @Nullable Tensor held, Tensor k, Tensor v) {
    long units = 2 * arena.size(1) * slots.count() * arena.size(3) / 8;
    try (Scope _ = Scope.open()) {
      var current = SmallAttention.Keys.readable(k, v);
      launch(
          replaceSlots,
          CudaOps.blocks(units),
          1,
          CudaOps.THREADS,
          arena,
          slots,
          entries,
          held,
          current.k(),
          current.v(),
          current.k().stride(0),
          current.k().stride(1),
          current.k().stride(2),
          units,
          arena.size(2),
          slots.count(),
          gap(arena),
          entries.count() == slots.count() ? 1 : 0,
          (int) arena.size(1),
          (int) k.size(1),
          held == null ? 0 : Math.toIntExact(held.size(2) / k.size(1)),
          (int) k.size(2),
          (int) k.size(3));
    }
  }

  /** See {@link DeviceOps#arrange}; null for more slots than shared memory has room for. */
  DeviceOps.@Nullable Arranged arrange(Tensor kept, int pictureRows, int held, int count) {
    int quota = (int) kept.size(2);
    // As the kernel shares it out: two lists of words of what is held, four of what is kept, gaps.
    int words = 2 * (held / Integer.SIZE + 1) + 4 * (quota / Integer.SIZE + 1);
    int shared = Integer.BYTES * words + Short.BYTES * quota;
    if (shared > MAX_SHARED) {
      return null;
    }
    boolean ordered = pictureRows == 1 || held == 0;
    Tensor places =
        ordered ? null : Tensor.empty(kept.backend(), DType.I64, kept.device(), kept.shape());
    Tensor entries = Tensor.empty(kept.backend(), DType.I64, kept.device(), kept.count());
    launcher.launchWithMemory(
        shared,
        arrange,
        kept.size(0) * kept.size(1),
        1,
        CudaOps.THREADS,
        kept.contiguous(),
        places,
        entries,
        pictureRows,
        (int) kept.size(1),
        quota,
        held,
        count);
    return new DeviceOps.Arranged(places, entries);
  }

  /** See {@link DeviceOps#drawUniforms}. */
  void drawUniforms(Tensor out, long[] seeds, int scale) {
    int symbols = (int) out.size(2);
    int groups = Math.ceilDiv(symbols, 4);
    long counters = out.size(1) * groups;
    // One launch a picture: its seed is an argument, and no upload waits for the device.
    for (int i = 0; i < seeds.length; i++) {
      launch(
          drawUniforms,
          CudaOps.blocks(counters),
          1,
          CudaOps.THREADS,
          new KernelLauncher.Pointer(out, i * out.stride(0) * Float.BYTES),
          seeds[i],
          scale,
          counters,
          groups,
          symbols);
    }
  }

  /**
   * See {@link DeviceOps#groupNorm}: a pass for the sums, one for the result.
   *
   * @param x [n, channels, h, w], channels last in memory, as is out
   * @param sums float32 [n, blocks, 2, channels]
   * @param factors float32 [n, 2, channels]
   */
  void groupNorm(
      Tensor x,
      int groups,
      Tensor weight,
      Tensor bias,
      double eps,
      boolean silu,
      Tensor sums,
      Tensor factors,
      Tensor out) {
    int channels = (int) x.size(1);
    long pixels = x.size(2) * x.size(3);
    int blocks = (int) sums.size(1);
    int units = channels / 8;
    launch(
        channelSums, blocks, x.size(0), CudaOps.THREADS / units * units, x, sums, pixels, channels);
    launch(
        groupFactors,
        x.size(0),
        1,
        CudaOps.THREADS,
        sums,
        weight,
        bias,
        factors,
        blocks,
        pixels,
        channels,
        groups,
        (float) eps);
    launch(
        scale,
        CudaOps.blocks(x.count() / 8),
        1,
        CudaOps.THREADS,
        x,
        factors,
        out,
        x.count() / 8,
        pixels,
        channels,
        silu ? 1 : 0);
  }

  /** See {@link KernelLauncher#launch}. */
  void launch(
      MemorySegment kernel, long gridX, long gridY, int threads, @Nullable Object... arguments) {
    launcher.launch(kernel, gridX, gridY, threads, arguments);
  }
}
