package io.heatkv.cache;

import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;

/** The one allocation in which a cache's keys and values lie, and the rows that it serves. */
final class KvArena implements AutoCloseable {
  private final Scope storage = Scope.detached();
  private final int pictureRows;
  private final int rowDim;
  private final Tensor arena;
  private int rows;
  private long currentScale;
  private long workspace;

  /**
   * @param rowDim dimension of the rows in {@code sizes}
   */
  KvArena(Backend backend, Device device, KvShape shape, DType dtype, int rowDim, long... sizes) {
    this.rowDim = rowDim;
    pictureRows = shape.pictureRows();
    rows = shape.batch();
    try (Scope _ = Scope.open()) {
      arena = storage.adopt(Tensor.empty(backend, dtype, device, sizes));
    }
  }

  /** What kernels depend on that read and write it. */
  Object repeatKey() {
    return new Layout(arena.address(), arena.stride(0), arena.bytes(), rows);
  }

  private record Layout(long address, long stride, long bytes, int rows) {}

  /** Rows served now. */
  int rows() {
    return rows;
  }

  /** See {@link KvCache#removeRows}. */
  void removeRows(int first, int count) {
    int behind = rows - first - count;
    if (first < 0
        || count < 1
        || behind < 0
        || count == rows
        || first % pictureRows != 0
        || count % pictureRows != 0) {
      throw new IllegalArgumentException(
          "%d rows from %d on can't leave %d rows of pictures of %d"
              .formatted(count, first, rows, pictureRows));
    }
    int moved = Math.min(count, behind);
    if (moved > 0) {
      try (Scope _ = Scope.open()) {
        arena.narrow(rowDim, first, moved).copyFrom(arena.narrow(rowDim, rows - moved, moved));
      }
    }
    rows -= count;
  }

  /** Everything, rows that are served no longer included. */
  Tensor whole() {
    return arena;
  }

  /** What the rows served now have; a view. */
  Tensor served() {
    return rows == arena.size(rowDim) ? arena : arena.narrow(rowDim, 0, rows);
  }

  long size(int dim) {
    return arena.size(dim);
  }

  /** Notes the current scale's keys and values, and bytes of entries that are copied. */
  void note(Tensor k, Tensor v, long copied) {
    currentScale = Math.max(currentScale, k.bytes() + v.bytes());
    workspace = Math.max(workspace, copied);
  }

  /** See {@link KvCache#repeated}. */
  void repeated(KvMemory then) {
    currentScale = Math.max(currentScale, then.currentScale());
    workspace = Math.max(workspace, then.workspace());
  }

  /** What was allocated, and noted so far. */
  KvMemory memory(KvParts parts) {
    return new KvMemory(arena.bytes(), parts, currentScale, workspace);
  }

  @Override
  public void close() {
    storage.close();
  }
}
