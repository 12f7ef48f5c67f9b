package io.heatkv.load;

import io.heatkv.error.Remedy;
import io.heatkv.error.UserException;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import java.util.Locale;
import java.util.Optional;

/**
 * What drawing takes of a device's memory, told from the sizes before anything is allocated.
 *
 * @param weights bytes of the networks
 * @param cache bytes of keys and values of earlier scales: the policy's plan
 * @param scratch bytes of everything else that lives at the fullest moment
 */
public record MemoryNeed(long weights, long cache, long scratch) {
  private static final double GIB = 1L << 30;
  // What CUDA's libraries take, and the allocator's gaps: docs/performance.md.
  private static final long CUDA_LIBRARIES = 256L << 20;
  private static final double CUDA_GAPS = 1.03;
  // What gaps, recordings and the libraries' workspaces for a shape took at most, over 50 mixes of
  // requests to each of three models: a share of all that a process takes of a GPU, and a rest.
  private static final double MOST_GAPS = 0.01;
  private static final long WORKSPACE = 72L << 20;
  private static final long F32_WORKSPACE = 168L << 20;

  /** The same, and then decoding, when keys and values are free again. */
  public MemoryNeed thenDecoding(long bytes) {
    return new MemoryNeed(weights, cache, Math.max(scratch, bytes - cache));
  }

  /** The same and {@code bytes} more of what lives at the fullest moment. */
  public MemoryNeed plusScratch(long bytes) {
    return new MemoryNeed(weights, cache, scratch + bytes);
  }

  /**
   * The same on CUDA with the allocator's gaps and workspaces: what a driver measures is no more.
   *
   * @param dtype compute type
   */
  public MemoryNeed withGaps(DType dtype) {
    long workspace = dtype == DType.F32 ? F32_WORKSPACE : WORKSPACE;
    return plusScratch((long) (MOST_GAPS * (total() + CUDA_LIBRARIES)) + workspace);
  }

  /** Of free bytes, what pictures may take: a share of a GPU's stays for libraries and gaps. */
  public static long usable(Device device, long free) {
    return device.isCuda() ? (long) ((free - CUDA_LIBRARIES) / CUDA_GAPS) : free;
  }

  /** All of it. */
  public long total() {
    return weights + cache + scratch;
  }

  /**
   * @param device for the message
   * @param available bytes; a share of a GPU's stays for its libraries and the allocator's gaps
   * @param images that this is the memory of
   * @param fullCache bytes of the full cache of as many
   * @throws UserException if they are too few, with the largest batch or budget that would fit
   */
  public void requireAtMost(Device device, long available, int images, long fullCache) {
    long usable = usable(device, available);
    if (total() > usable) {
      String problem =
          String.format(
              Locale.ROOT,
              "not enough memory on %s for %d %s: about %.2f GiB are needed (weights %.2f, KV cache"
                  + " %.2f, scratch %.2f), %.2f of %.2f GiB free can be used; ",
              device,
              images,
              images == 1 ? "picture" : "pictures at once",
              total() / GIB,
              weights / GIB,
              cache / GIB,
              scratch / GIB,
              usable / GIB,
              available / GIB);
      throw fitting(usable, images, fullCache)
          .map(advice -> new UserException(problem + advice))
          .orElseGet(() ->
              new UserException(
                  problem + "choose a smaller resolution or model, or compute type bf16",
                  Remedy.HALF_PRECISION));
    }
  }

  /** A batch or a budget that fits, if there is one. */
  private Optional<String> fitting(long available, int images, long fullCache) {
    long left = available - weights;
    long batch = left * images / (cache + scratch);
    if (batch >= 1) {
      return Optional.of("a batch of at most " + batch + " fits");
    }
    // Rounded down, so that what is said is enough.
    double budget = Math.floor(1e3 * (left * images - scratch) / fullCache) / 1e3;
    return budget > 0
        ? Optional.of(
            String.format(Locale.ROOT, "one picture fits with a KV budget of at most %.3f", budget))
        : Optional.empty();
  }
}
