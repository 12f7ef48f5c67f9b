package io.heatkv;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvPlan;
import io.heatkv.cache.KvShape;
import io.heatkv.error.Remedy;
import io.heatkv.error.UserException;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.infinity.TransformerKeys;
import io.heatkv.scale.ScaleSchedule;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
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

  /**
   * Of a generation with the transformer alone.
   *
   * @param rows of the batch, both guidance halves counted
   * @param textTokens of a prompt
   */
  @SuppressWarnings("exports") // The transformer is its family's matter.
  public static MemoryNeed ofTransformer(
      TransformerConfig config,
      ScaleSchedule schedule,
      int rows,
      int textTokens,
      CachePolicy policy,
      DType dtype,
      Device device) {
    KvShape shape =
        new KvShape(config.depth(), rows, 1, config.heads(), config.headDim(), dtype, schedule);
    KvPlan plan = policy.plan(shape);
    return new MemoryNeed(
        weights(config, dtype),
        plan.bytes(),
        scratch(config, shape, textTokens, plan.bytes(), device));
  }

  /** Bytes of all weights, those around the blocks float32. */
  private static long weights(TransformerConfig config, DType dtype) {
    long bytes = 0;
    Map<String, long[]> shapes = TransformerKeys.shapes(config, TransformerKeys.poolHeads(config));
    for (Map.Entry<String, long[]> weight : shapes.entrySet()) {
      String name = weight.getKey();
      boolean inBlocks = TransformerKeys.isOfBlocks(name) && !TransformerKeys.isWidened(name);
      long elements = Arrays.stream(weight.getValue()).reduce(1, Math::multiplyExact);
      bytes += elements * (inBlocks ? dtype : DType.F32).bytes();
    }
    return bytes;
  }

  /**
   * The last scale while a layer attends, or its feed forward: the residual stream in float32, and
   * in the compute type
   *
   * <ul>
   *   <li>attending, the norm, the projection, queries, keys and values, and three outputs of
   *       attention (over its own scale, over earlier ones, both); where keys are joined, keys and
   *       values of all scales instead of two of these, else what a head retained;
   *   <li>feeding forward, the branches read before, the norm, the hidden layer and its output.
   * </ul>
   *
   * <p>Besides, what every block knows of the text, and the rotary table.
   */
  private static long scratch(
      TransformerConfig config, KvShape shape, int textTokens, long cache, Device device) {
    ScaleSchedule schedule = shape.schedule();
    long rows = shape.batch();
    long tokens = rows * schedule.last().tokens();
    long unit = tokens * config.width() * shape.dtype().bytes();
    long stream = tokens * config.width() * DType.F32.bytes();
    long earlier =
        device.isCuda()
            ? (cache == shape.fullBytes() ? 0 : cache / config.depth()) + 2 * unit
            : 2 * rows * schedule.totalTokens() * config.width() * shape.dtype().bytes();
    long attending = 8 * unit + earlier;
    long feeding = 4 * unit + tokens * config.hidden() * shape.dtype().bytes();
    long text = 2 * rows * textTokens * config.width() * config.depth() * shape.dtype().bytes();
    long adaptive = 6 * rows * config.width() * config.depth() * DType.F32.bytes();
    long rotary = 2L * schedule.totalTokens() * config.headDim() / 2 * DType.F32.bytes();
    return stream + Math.max(attending, feeding) + text + adaptive + rotary;
  }

  /** The same and {@code bytes} more of what lives at the fullest moment. */
  public MemoryNeed plusScratch(long bytes) {
    return new MemoryNeed(weights, cache, scratch + bytes);
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
