package io.heatkv;

import io.heatkv.cache.KvShape;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.error.UserException;
import io.heatkv.load.ModelDescription;
import io.heatkv.model.TransformerConfig;
import io.heatkv.scale.ScaleSchedule;
import io.heatkv.tensor.DType;
import io.heatkv.vae.VaeConfig;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/**
 * What a generation will need, told from the shapes before anything is loaded.
 *
 * @param weights bytes of all three networks
 * @param cache bytes of keys and values
 * @param activations bytes of the largest intermediate values
 */
public record MemoryEstimate(long weights, long cache, long activations) {
  private static final long PROGRAM = 256L << 20;

  /**
   * Estimates a request.
   *
   * @param dtype compute type of the transformer's blocks
   * @throws UserException if a file of the model is missing or unsound
   */
  public static MemoryEstimate of(ModelDescription model, DType dtype, GenerationRequest request) {
    TransformerConfig config = model.transformer();
    ScaleSchedule schedule = request.schedule();
    int rows = request.images() * (request.sampling().isGuided() ? 2 : 1);
    KvShape shape =
        new KvShape(config.depth(), rows, config.heads(), config.headDim(), dtype, schedule);
    long weights =
        elements(model.transformerFile(), "") * dtype.bytes()
            + elements(model.vaeFile(), "decoder.") * DType.F32.bytes()
            + elements(model.textEncoder(), "") * DType.F32.bytes();
    return new MemoryEstimate(
        weights,
        request.policy().bytes(shape),
        Math.max(blocks(config, schedule, rows, dtype), decoding(model, schedule)));
  }

  /** Elements of the tensors whose names begin so. */
  private static long elements(Path file, String prefix) {
    try (Checkpoint checkpoint = Checkpoints.open(file)) {
      return checkpoint.names().stream()
          .filter(name -> name.startsWith(prefix))
          .mapToLong(name -> checkpoint.entry(name).elements())
          .sum();
    }
  }

  /**
   * The last scale in one block: residual stream, norms, queries, keys, values and the hidden
   * layer, and the keys and values of all scales joined.
   */
  private static long blocks(
      TransformerConfig config, ScaleSchedule schedule, int rows, DType dtype) {
    long tokens = (long) rows * schedule.last().tokens();
    long joined = 2L * rows * schedule.totalTokens() * config.width() * dtype.bytes();
    return tokens
            * (4L * config.width() * DType.F32.bytes()
                + (5L * config.width() + 2L * config.hidden()) * dtype.bytes())
        + joined;
  }

  /**
   * The finest level of the image tokenizer, by measurement: a residual block takes up to twelve
   * maps of its channels, the convolution on the enlarged map before it six of the next level's.
   */
  private static long decoding(ModelDescription model, ScaleSchedule schedule) {
    try (Checkpoint checkpoint = Checkpoints.open(model.vaeFile())) {
      VaeConfig config = VaeConfig.infer(checkpoint);
      List<Integer> multipliers = config.decoderMultipliers();
      int maps =
          Math.max(12 * multipliers.get(0), multipliers.size() > 1 ? 6 * multipliers.get(1) : 0);
      long edge = edge(model, config);
      long pixels = edge * edge * schedule.last().tokens();
      return maps * pixels * config.baseChannels() * DType.F32.bytes();
    }
  }

  private static long edge(ModelDescription model, VaeConfig config) {
    return (long) config.stride() * (model.transformer().spatialPatchify() ? 2 : 1);
  }

  /** Pixels along an edge of what one token shows. */
  public static long pixelsPerToken(ModelDescription model) {
    try (Checkpoint checkpoint = Checkpoints.open(model.vaeFile())) {
      return edge(model, VaeConfig.infer(checkpoint));
    }
  }

  /** All together, with what the program and its libraries take. */
  public long total() {
    return PROGRAM + weights + cache + activations;
  }

  /**
   * @throws UserException with the numbers if {@code available} bytes are too few
   */
  public void requireAtMost(long available) {
    if (total() > available) {
      throw new UserException(
          ("not enough memory: about %s GiB are needed (weights %s, KV cache %s, activations %s,"
                  + " program %s), %s GiB are free; choose a smaller resolution or model, or --dtype"
                  + " bf16")
              .formatted(
                  gib(total()),
                  gib(weights),
                  gib(cache),
                  gib(activations),
                  gib(PROGRAM),
                  gib(available)));
    }
  }

  private static String gib(long bytes) {
    return String.format(Locale.ROOT, "%.2f", bytes / (double) (1L << 30));
  }
}
