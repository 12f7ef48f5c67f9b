package io.heatkv.tensor;

import org.jspecify.annotations.Nullable;

/**
 * Work of one model that comes again and again with the same arguments, of which a device may keep
 * recordings: to replay one takes the host few calls. Any number of threads may use it.
 */
public interface Repeats extends AutoCloseable {
  /** Recordings that are kept at a time, at most. */
  int CAPACITY = 32;

  /** Keeps no recordings. */
  Repeats NONE =
      new Repeats() {
        @Override
        public <T> T run(@Nullable Object key, Tensor x, Region<T> region) {
          return region.run(x, () -> {});
        }

        @Override
        public void close() {}
      };

  /** What is being recorded can't be; it runs as it is then. */
  final class Unrepeatable extends RuntimeException {
    private static final long serialVersionUID = 1L;

    Unrepeatable(String reason) {
      super(reason, null, false, false);
    }
  }

  /** Work that changes a tensor in place. */
  interface Region<T> {
    /**
     * Queues it.
     *
     * @param next is called between parts: a device begins with one while it is told of the next
     */
    T run(Tensor x, Runnable next);
  }

  /**
   * Runs a region for a tensor, or replays it.
   *
   * @param key equal for what queues the same kernels with the same arguments, but for where {@code
   *     x} lies; null for what isn't to be recorded
   * @param x row-major
   * @param region may be given another tensor in the place of {@code x}, and may be called a second
   *     time where it couldn't be recorded
   * @return what the region returned, now or when it was recorded
   */
  <T> T run(@Nullable Object key, Tensor x, Region<T> region);

  /** Frees all recordings; who still draws goes on without. */
  @Override
  void close();
}
