package io.heatkv.cache;

import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;

/**
 * Keys and values of a fixed number of head-tokens, allocated once. A slot serves all rows of the
 * batch; what is handed out is counted, and there is nothing more to hand out than was allocated.
 */
final class SlotArena implements AutoCloseable {
  private final Scope storage = Scope.detached();
  // [2, batch * slots, head_dim]; index 0 keys, 1 values; a row's slots lie together
  private final Tensor entries;
  private final int batch;
  private final int capacity;
  // A stack: the first `free` are not handed out.
  private final int[] slots;
  private int free;
  private int peak;

  SlotArena(Backend backend, Device device, KvShape shape, int capacity) {
    this.batch = shape.batch();
    this.capacity = capacity;
    slots = new int[capacity];
    free = capacity;
    for (int i = 0; i < capacity; i++) {
      slots[i] = capacity - 1 - i;
    }
    try (Scope _ = Scope.open()) {
      entries =
          storage.adopt(
              Tensor.empty(
                  backend, shape.dtype(), device, 2, (long) batch * capacity, shape.headDim()));
    }
  }

  /** Head-tokens that fit. */
  int capacity() {
    return capacity;
  }

  /** Head-tokens handed out now. */
  int live() {
    return capacity - free;
  }

  /** Most head-tokens handed out at a time so far. */
  int peak() {
    return peak;
  }

  /**
   * Hands out slots.
   *
   * @throws IllegalStateException if fewer are free: the policy has broken its budget
   */
  int[] take(int count) {
    if (count > free) {
      throw new IllegalStateException(
          "%d slots asked for, %d of %d are free".formatted(count, free, capacity));
    }
    int[] taken = new int[count];
    for (int i = 0; i < count; i++) {
      taken[i] = slots[--free];
    }
    peak = Math.max(peak, live());
    return taken;
  }

  /** Takes a slot back. */
  void give(int slot) {
    slots[free++] = slot;
  }

  /** Number of a slot among the slots of all rows, for {@link #read} and {@link #write}. */
  long place(int row, int slot) {
    return (long) row * capacity + slot;
  }

  /** Keys and values in some slots of every row [2, batch, slots, head_dim]; a copy. */
  Tensor readAllRows(int[] wanted) {
    long[] wide = new long[wanted.length];
    for (int i = 0; i < wide.length; i++) {
      wide[i] = wanted[i];
    }
    Tensor byRow = entries.reshape(2, batch, capacity, entries.size(2));
    return Ops.indexSelect(byRow, 2, index(wide));
  }

  /** Keys and values at some places [2, places, head_dim]; a copy. */
  Tensor read(long[] places) {
    return Ops.indexSelect(entries, 1, index(places));
  }

  /** Writes keys and values [places, head_dim] to places. */
  void write(long[] places, Tensor keys, Tensor values) {
    Tensor target = index(places);
    Ops.indexCopy(entries.select(0, 0), 0, target, keys);
    Ops.indexCopy(entries.select(0, 1), 0, target, values);
  }

  /** Indices on the arena's device. */
  Tensor index(long[] values) {
    return Tensor.of(entries.backend(), values, values.length).to(entries.device());
  }

  /** The storage, for reports. */
  Tensor tensor() {
    return entries;
  }

  @Override
  public void close() {
    storage.close();
  }
}
