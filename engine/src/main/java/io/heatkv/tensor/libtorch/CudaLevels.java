package io.heatkv.tensor.libtorch;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.LevelMoves;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * Levels measured by the kernels of {@code levels.cu}: products of float16 on tensor cores, sums in
 * float32.
 */
final class CudaLevels implements LevelMoves {
  // Of levels.cu.
  private static final int POOLS = 4;
  private static final int SLOTS = 16;
  private static final int VARIANTS = 3;
  private static final int QUERIES = 64;
  private static final int THREADS = 128;
  private static final int ENTRY_THREADS = 256;
  private static final float LARGEST_HALF = 65504;

  private final LibTorch torch;
  private final LevelKernels own;
  private final Maps maps;
  private final int dim;
  private final Device device;
  private final int entries;
  // Of each scale: its map, its first token and query, its first entry of each pool.
  private final Tensor scales;
  // The logarithm to base 2 of each entry's tokens.
  private final Tensor added;
  // The sources that each query sees.
  private final Tensor seen;
  // Scales and blocks of their own and later queries; of later queries alone.
  private final Tensor partItems;
  private final Tensor costItems;
  // Ones where an item of the costs is of a source [sources, items].
  private final Tensor itemsOf;
  private final Tensor most;
  private final Tensor least;

  /**
   * @param storage owns what is kept
   */
  CudaLevels(LibTorch torch, LevelKernels own, Maps maps, int dim, Scope storage) {
    this.torch = torch;
    this.own = own;
    this.maps = maps;
    this.dim = dim;
    device = maps.shares().device();
    int sources = maps.sources();
    int all = 0;
    for (int s = 0; s < sources; s++) {
      for (int i = 0; i < POOLS; i++) {
        all += Math.ceilDiv(maps.heights()[s], 1 << i) * Math.ceilDiv(maps.widths()[s], 1 << i);
      }
    }
    entries = all;
    float[] logs = new float[entries];
    int[] table = new int[(sources + 1) * (4 + POOLS)];
    int[] seers = new int[Math.toIntExact(maps.shares().count())];
    for (int s = 0, entry = 0, token = 0; s <= sources; s++) {
      int height = maps.heights()[s];
      int width = maps.widths()[s];
      int at = s * (4 + POOLS);
      table[at] = height;
      table[at + 1] = width;
      table[at + 2] = token;
      table[at + 3] = maps.queries()[s];
      token += maps.tokens(s);
      for (int i = 0; s < sources && i < POOLS; i++) {
        table[at + 4 + i] = entry;
        entry = addLogs(logs, entry, height, width, 1 << i);
      }
      for (int i = 0; i < maps.queries(s); i++) {
        seers[maps.queries()[s] + i] = s;
      }
    }
    int[] costs = items(false);
    float[] ones = new float[sources * costs.length / 2];
    for (int i = 0; i < costs.length / 2; i++) {
      ones[costs[2 * i] * (costs.length / 2) + i] = 1;
    }
    int[] parts = items(true);
    try (Scope _ = Scope.open()) {
      scales = storage.adopt(onDevice(Tensor.of(torch, table, table.length)));
      added = storage.adopt(onDevice(Tensor.of(torch, logs, logs.length)));
      seen = storage.adopt(onDevice(Tensor.of(torch, seers, seers.length)));
      partItems = storage.adopt(onDevice(Tensor.of(torch, parts, parts.length / 2, 2)));
      costItems = storage.adopt(onDevice(Tensor.of(torch, costs, costs.length / 2, 2)));
      itemsOf = storage.adopt(onDevice(Tensor.of(torch, ones, sources, costs.length / 2)));
      most = storage.adopt(onDevice(Tensor.of(torch, new float[] {LARGEST_HALF}, 1)));
      least = storage.adopt(onDevice(Tensor.of(torch, new float[] {-LARGEST_HALF}, 1)));
    }
  }

  private Tensor onDevice(Tensor tensor) {
    return tensor.to(device);
  }

  /** Writes the logarithms of a map's blocks from {@code entry} on; returns where they end. */
  private static int addLogs(float[] logs, int entry, int height, int width, int pool) {
    int next = entry;
    for (int row = 0; row < height; row += pool) {
      for (int column = 0; column < width; column += pool) {
        int tokens = Math.min(pool, height - row) * Math.min(pool, width - column);
        logs[next++] = (float) (Math.log(tokens) / Math.log(2));
      }
    }
    return next;
  }

  /** Scales and blocks of queries; large scales first, which take longest. */
  private int[] items(boolean isPart) {
    List<Integer> items = new ArrayList<>();
    for (int s = isPart ? maps.sources() : maps.sources() - 1; s >= 0; s--) {
      long left = maps.shares().count() - maps.queries()[isPart ? s : s + 1];
      for (int block = 0; block * (long) QUERIES < left; block++) {
        items.add(s);
        items.add(block);
      }
    }
    return items.stream().mapToInt(Integer::intValue).toArray();
  }

  @Override
  public Tensor squares(Tensor q, Tensor k, Tensor v, Tensor keys, Tensor values) {
    try (Scope scope = Scope.open()) {
      Tensor query = half(q);
      long heads = q.size(0) * q.size(1);
      int queries = (int) q.size(2);
      int sources = maps.sources();
      Tensor stored = Tensor.empty(torch, DType.F16, device, heads, 2, VARIANTS, entries, dim);
      Tensor steps = floats(heads, 2, entries);
      Tensor largest = floats(heads, 2, sources, POOLS);
      encode(keys.contiguous(), values.contiguous(), stored, steps, largest);
      Tensor outputs = floats(heads, queries, 1 + sources, dim);
      Tensor sums = floats(heads, queries, 1 + sources);
      launch(
          own.parts(),
          heads,
          partItems.size(0),
          THREADS,
          query,
          queries,
          stored,
          entries,
          half(k),
          half(v),
          scales,
          sources,
          partItems,
          outputs,
          sums);
      Tensor apart = floats(heads, queries, sources, 2, dim);
      Tensor rests = floats(heads, queries, sources, 2);
      launch(own.companies(), queries, heads, dim, outputs, sums, seen, sources, apart, rests);
      Tensor costs = floats(q.size(0), q.size(1), costItems.size(0), SLOTS);
      launch(
          own.costs(),
          heads,
          costItems.size(0),
          THREADS,
          query,
          queries,
          stored,
          steps,
          largest,
          entries,
          added,
          scales,
          sources,
          costItems,
          outputs,
          sums,
          apart,
          rests,
          maps.shares(),
          costs);
      return scope.keep(Ops.matmul(itemsOf, costs).transpose(1, 2).contiguous());
    }
  }

  private void encode(Tensor keys, Tensor values, Tensor stored, Tensor steps, Tensor largest) {
    launch(
        own.entries(),
        2 * keys.size(0) * keys.size(1),
        (long) maps.sources() * POOLS,
        ENTRY_THREADS,
        keys,
        values,
        (int) keys.size(2),
        scales,
        stored,
        steps,
        largest,
        entries,
        keys.dtype() == DType.BF16 ? 1 : 0);
  }

  private void launch(
      MemorySegment kernel, long gridX, long gridY, int threads, Object... arguments) {
    own.launcher().launch(kernel, gridX, gridY, threads, arguments);
  }

  private Tensor floats(long... shape) {
    return Tensor.empty(torch, DType.F32, device, shape);
  }

  /** As float16, saturating. */
  private Tensor half(Tensor x) {
    try (Scope scope = Scope.open()) {
      return scope.keep(Ops.clamp(x.to(DType.F32), least, most).to(DType.F16).contiguous());
    }
  }
}
