package io.heatkv.cache;

/**
 * The slots of one row that a policy hands out as it goes: there is nothing more to hand out than
 * was allocated. All rows have as many in use, but need not have the same.
 */
final class RowSlots {
  // A stack: the first `free` are not handed out.
  private final int[] slots;
  private int free;
  private int peak;

  RowSlots(int capacity) {
    slots = new int[capacity];
    free = capacity;
    for (int i = 0; i < capacity; i++) {
      slots[i] = capacity - 1 - i;
    }
  }

  /** Slots handed out now. */
  int live() {
    return slots.length - free;
  }

  /** Most slots handed out at a time so far. */
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
          "%d slots asked for, %d of %d are free".formatted(count, free, slots.length));
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
}
