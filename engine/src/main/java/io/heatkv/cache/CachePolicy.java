package io.heatkv.cache;

import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;

/** What a generation remembers of earlier scales: makes a fresh cache for each generation. */
public interface CachePolicy {
  /** Name on the command line and in reports. */
  String name();

  /**
   * Allocates the storage of one generation.
   *
   * @throws io.heatkv.error.UserException if the policy doesn't fit the model or the schedule
   */
  KvCache open(Backend backend, Device device, KvShape shape);

  /** Ratio of the full cache that is allowed. */
  default double budget() {
    return 1;
  }

  /** Bytes that {@link #open} will allocate for keys and values. */
  long bytes(KvShape shape);

  /** Keeps everything. */
  CachePolicy FULL =
      new CachePolicy() {
        @Override
        public String name() {
          return "full";
        }

        @Override
        public KvCache open(Backend backend, Device device, KvShape shape) {
          return new FullCache(backend, device, shape);
        }

        @Override
        public long bytes(KvShape shape) {
          return shape.fullBytes();
        }
      };
}
