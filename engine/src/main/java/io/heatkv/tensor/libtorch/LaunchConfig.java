package io.heatkv.tensor.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** The driver's {@code CUlaunchConfig}, for one thread's launches, with its only attribute. */
final class LaunchConfig {
  // Three sizes of the grid, three of a block, shared memory and nothing, 4 bytes each; the stream.
  private static final int HEAD_LONGS = 5;
  private static final long ATTRIBUTES = 40;
  private static final long ATTRIBUTE_COUNT = 48;
  private static final long BYTES = 56;
  // CUlaunchAttribute: its name and, from byte 8 on, its value
  private static final long ATTRIBUTE_BYTES = 72;
  private static final int PROGRAMMATIC_STREAM_SERIALIZATION = 6;

  private final long[] head = new long[HEAD_LONGS];
  private final MemorySegment memory = Arena.ofAuto().allocate(BYTES + ATTRIBUTE_BYTES, 8);

  /**
   * @param overlaps whether kernels are launched before the one before them ends, as those may that
   *     begin with {@code awaitEarlier} (launch.cu)
   */
  LaunchConfig(boolean overlaps) {
    head[2] = both(1, 1);
    if (overlaps) {
      MemorySegment attribute = memory.asSlice(BYTES);
      attribute.set(JAVA_INT, 0, PROGRAMMATIC_STREAM_SERIALIZATION);
      attribute.set(JAVA_INT, 8, 1);
      memory.set(ADDRESS, ATTRIBUTES, attribute);
      memory.set(JAVA_INT, ATTRIBUTE_COUNT, 1);
    }
  }

  /** The struct for a grid of blocks of so many threads, and bytes of dynamic shared memory. */
  MemorySegment of(int gridX, int gridY, int threads, int shared, MemorySegment stream) {
    head[0] = both(gridX, gridY);
    head[1] = both(1, threads);
    head[3] = shared;
    head[4] = stream.address();
    MemorySegment.copy(head, 0, memory, JAVA_LONG, 0, HEAD_LONGS);
    return memory;
  }

  private static long both(int first, int second) {
    return first | (long) second << 32;
  }
}
