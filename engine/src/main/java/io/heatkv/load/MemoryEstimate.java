package io.heatkv.load;

import io.heatkv.error.Remedy;
import io.heatkv.error.UserException;
import java.util.Locale;

/**
 * What a generation will need, told from the shapes before anything is loaded.
 *
 * @param weights bytes of the networks' weights that are converted or copied
 * @param mapped bytes of weights that stay views of their mapped file: the system gives these pages
 *     up and reads them again as it needs to, so they only make the run slower where memory is
 *     short
 * @param cache bytes of keys and values
 * @param activations bytes of the largest intermediate values
 */
public record MemoryEstimate(long weights, long mapped, long cache, long activations) {
  private static final long PROGRAM = 256L << 20;

  /** The same several times at once in one process; mapped weights are the same for all. */
  public MemoryEstimate times(int count) {
    return new MemoryEstimate(count * weights, mapped, count * cache, count * activations);
  }

  /** All that must be free, with what the program takes: everything but the mapped weights. */
  public long total() {
    return PROGRAM + weights + cache + activations;
  }

  /** Whether a user may want to know: more than a GiB in all. */
  public boolean isLarge() {
    return total() + mapped > 1L << 30;
  }

  /**
   * @throws UserException with the numbers if {@code available} bytes are too few
   */
  public void requireAtMost(long available) {
    if (total() > available) {
      throw new UserException(
          "not enough memory: about %s are needed, %s GiB are free; choose a smaller resolution or model, compute type bf16, or convert it once, so that its weights are mapped"
              .formatted(this, gib(available)),
          Remedy.MAPPED_WEIGHTS);
    }
  }

  /** Such as {@code 5.20 GiB (weights 1.00, KV cache 4.00, activations 0.20)}. */
  @Override
  public String toString() {
    String parts =
        "%s GiB (weights %s, KV cache %s, activations %s, program %s)"
            .formatted(gib(total()), gib(weights), gib(cache), gib(activations), gib(PROGRAM));
    return mapped == 0
        ? parts
        : parts
            + " besides "
            + gib(mapped)
            + " GiB of weights mapped from files, which need not fit";
  }

  private static String gib(long bytes) {
    return String.format(Locale.ROOT, "%.2f", bytes / (double) (1L << 30));
  }
}
