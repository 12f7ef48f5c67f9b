package io.heatkv.cache;

/** Slots that a plan hands out: there is nothing more to hand out than will be allocated. */
final class FreeSlots {
  // A stack: the first `free` are not handed out.
  private final int[] slots;
  private int free;

  FreeSlots(int capacity) {
    slots = new int[capacity];
    free = capacity;
    for (int i = 0; i < capacity; i++) {
      slots[i] = capacity - 1 - i;
    }
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
    return taken;
  }

  /** Takes a slot back. */
  void give(int slot) {
    slots[free++] = slot;
  }
}
