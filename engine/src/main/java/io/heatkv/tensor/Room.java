package io.heatkv.tensor;

import java.util.Map;
import java.util.TreeMap;

/** Memory of a device that a recording's tensors share, see {@link Scratch#open(Room)}. */
public final class Room {
  private static final long ALIGNMENT = 512;

  private final Device device;
  // Bytes of each free part, by where it begins.
  private final TreeMap<Long, Long> free = new TreeMap<>();

  /**
   * @param start address of the memory, a multiple of 512
   * @param bytes of it, a multiple of 512
   */
  public Room(Device device, long start, long bytes) {
    this.device = device;
    free.put(start, bytes);
  }

  Device device() {
    return device;
  }

  /**
   * The address of a part.
   *
   * @throws Repeats.Unrepeatable if no free one is so large
   */
  long take(long bytes) {
    long size = whole(bytes);
    Map.Entry<Long, Long> part =
        free.entrySet().stream()
            .filter(each -> each.getValue() >= size)
            .findFirst()
            .orElseThrow(() -> new Repeats.Unrepeatable("its tensors take too much memory"));
    long address = part.getKey();
    long rest = part.getValue() - size;
    free.remove(address);
    if (rest > 0) {
      free.put(address + size, rest);
    }
    return address;
  }

  /** Takes a part back, and joins it with free ones beside it. */
  void give(long address, long bytes) {
    long end = address + whole(bytes);
    Map.Entry<Long, Long> before = free.lowerEntry(address);
    long start =
        before != null && before.getKey() + before.getValue() == address
            ? before.getKey()
            : address;
    Long behind = free.remove(end);
    free.put(start, end - start + (behind == null ? 0 : behind));
  }

  private static long whole(long bytes) {
    return Math.max(1, Math.ceilDiv(bytes, ALIGNMENT)) * ALIGNMENT;
  }
}
