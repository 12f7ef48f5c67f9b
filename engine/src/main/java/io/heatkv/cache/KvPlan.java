package io.heatkv.cache;

import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;

/**
 * What a policy takes for a shape, known before anything is allocated.
 *
 * @param bytes that opening allocates for keys and values
 * @param parts of them, and tables
 * @param peakBytes most of them that will be live at a time
 * @param copyBytes of what a layer copies of it while it attends, by estimate; outside the budget
 * @param opener allocates them
 */
public record KvPlan(long bytes, KvParts parts, long peakBytes, long copyBytes, Opener opener) {
  /** Makes the cache of one generation. */
  @FunctionalInterface
  public interface Opener {
    /** Allocates {@link KvPlan#bytes} on a device. */
    KvCache open(Backend backend, Device device);
  }

  /** Keeps everything. */
  public static KvPlan full(KvShape shape) {
    long bytes = shape.fullBytes();
    return new KvPlan(
        bytes, KvParts.NONE, bytes, 0, (backend, device) -> new FullCache(backend, device, shape));
  }

  /** Bytes of keys and values and of tables. */
  public long allBytes() {
    return bytes + parts.tables();
  }

  /**
   * Allocates the storage of one generation.
   *
   * @throws io.heatkv.tensor.TensorException if the device has too little memory
   */
  public KvCache open(Backend backend, Device device) {
    return opener.open(backend, device);
  }
}
