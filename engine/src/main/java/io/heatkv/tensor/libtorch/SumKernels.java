package io.heatkv.tensor.libtorch;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The kernels of {@code sums.cu} for one type and one number of a head's channels. */
record SumKernels(KernelLauncher launcher, MemorySegment querySums, MemorySegment keySums) {
  private static final int THREADS = 128;
  private static final int ROWS = 128;
  private static final int COLUMNS = 64;
  // Two for each multiprocessor of an H100. With fewer, several share a query's keys.
  private static final long BLOCKS = 264;

  static SumKernels load(KernelLauncher launcher, DType dtype, int dim)
      throws CudaCompiler.Unavailable {
    CudaCompiler.Module module =
        launcher.load(launcher.of(List.of("stored.cu", "tile.cu", "sums.cu"), dtype, "DIM=" + dim));
    return new SumKernels(launcher, module.kernel("query_sums"), module.kernel("key_sums"));
  }

  /** See {@link DeviceOps#columnSums}. */
  Tensor columnSums(Tensor q, Tensor k, @Nullable Tensor earlier, @Nullable Tensor lse) {
    try (Scope scope = Scope.open()) {
      Tensor queries = regular(q);
      Tensor current = regular(k);
      Tensor before = earlier == null || earlier.size(2) == 0 ? null : dense(earlier);
      long heads = q.size(0) * q.size(1);
      long keys = k.size(2) + (before == null ? 0 : before.size(2));
      long blocks = Math.ceilDiv(q.size(2), ROWS);
      int parts = 1;
      Tensor logs = lse == null ? null : lse.contiguous();
      if (logs == null) {
        parts =
            Math.clamp(BLOCKS / (blocks * heads), 1, Math.toIntExact(Math.ceilDiv(keys, COLUMNS)));
        logs = floats(q, parts, q.size(0), q.size(1), q.size(2));
        launch(querySums, parts * blocks, queries, current, before, parts, logs, null);
      }
      Tensor sums = floats(q, q.size(0), q.size(1), keys);
      launch(keySums, Math.ceilDiv(keys, ROWS), queries, current, before, parts, logs, sums);
      return scope.keep(sums);
    }
  }

  private static Tensor floats(Tensor like, long... shape) {
    return Tensor.empty(like.backend(), DType.F32, like.device(), shape);
  }

  // query_sums doesn't read the last argument.
  private void launch(
      MemorySegment kernel,
      long blocks,
      Tensor q,
      Tensor k,
      @Nullable Tensor earlier,
      int parts,
      Tensor lse,
      @Nullable Tensor sums) {
    launcher.launch(
        kernel,
        blocks,
        q.size(0) * q.size(1),
        THREADS,
        q,
        q.stride(0),
        q.stride(1),
        q.stride(2),
        (int) q.size(2),
        (int) q.size(1),
        earlier,
        earlier == null ? 0L : earlier.stride(0),
        earlier == null ? 0L : earlier.stride(1),
        earlier == null ? 0 : (int) earlier.size(2),
        k,
        k.stride(0),
        k.stride(1),
        k.stride(2),
        (int) k.size(2),
        parts,
        lse,
        sums);
  }

  /** With the units of 8 channels of an entry together. */
  private static Tensor regular(Tensor x) {
    return x.stride(3) == 1 && x.stride(2) % 8 == 0 ? x : x.contiguous();
  }

  /** With the entries of a head one after another. */
  private static Tensor dense(Tensor x) {
    return x.stride(3) == 1 && x.stride(2) == x.size(3) ? x : x.contiguous();
  }
}
