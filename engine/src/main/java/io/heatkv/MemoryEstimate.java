package io.heatkv;

import io.heatkv.cache.KvShape;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.TensorEntry;
import io.heatkv.error.Remedy;
import io.heatkv.error.UserException;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.infinity.TransformerKeys;
import io.heatkv.infinity.vae.VaeConfig;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.Network;
import io.heatkv.scale.ScaleSchedule;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.text.T5Config;
import io.heatkv.text.T5Encoder;
import java.util.List;
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
  // Of a usual prompt.
  private static final int TEXT_TOKENS = 64;

  /**
   * Estimates a request.
   *
   * @param dtype compute type of the transformer's blocks
   * @throws UserException if a file of the model is missing or unsound
   */
  public static MemoryEstimate of(ModelDescription model, DType dtype, GenerationRequest request) {
    TransformerConfig config = model.transformer();
    ScaleSchedule schedule = request.schedule();
    int pictureRows = request.rowsPerPicture();
    int rows = request.images() * pictureRows;
    KvShape shape =
        new KvShape(
            config.depth(), rows, pictureRows, config.heads(), config.headDim(), dtype, schedule);
    Weighed weighed = new Weighed();
    long text;
    try (Checkpoint transformer = Network.TRANSFORMER.open(model.transformerFile());
        Checkpoint vae = Network.IMAGE_TOKENIZER.open(model.vaeFile());
        Checkpoint encoder = Network.TEXT_ENCODER.open(model.textWeights())) {
      for (String name : transformer.names()) {
        boolean inBlocks = TransformerKeys.isOfBlocks(name) && !TransformerKeys.isWidened(name);
        weighed.add(transformer.entry(name), inBlocks ? dtype : DType.F32);
      }
      vae.names().stream()
          .filter(name -> name.startsWith("decoder."))
          .forEach(name -> weighed.add(vae.entry(name), DType.F32));
      T5Config textConfig = T5Config.read(model.textEncoder().resolve("config.json"));
      T5Encoder.names(textConfig, encoder).stream()
          .flatMap(name -> encoder.find(name).stream())
          .forEach(weighed::addStored);
      text = textLayer(textConfig);
    }
    return new MemoryEstimate(
        weighed.converted,
        weighed.mapped,
        request.policy().plan(shape).bytes(),
        Math.max(text, Math.max(blocks(config, schedule, rows, dtype), decoding(model, schedule))));
  }

  /**
   * What a request needs of a device with memory of its own.
   *
   * @param dtype compute type of the transformer's blocks
   * @throws UserException if a file of the model is missing or unsound
   */
  public static MemoryNeed onDevice(
      ModelDescription model, Device device, DType dtype, GenerationRequest request) {
    MemoryEstimate estimate = of(model, dtype, request);
    MemoryNeed drawing =
        MemoryNeed.ofTransformer(
            model.transformer(),
            request.schedule(),
            request.images() * request.rowsPerPicture(),
            TEXT_TOKENS,
            request.policy(),
            dtype,
            device);
    return new MemoryNeed(
        estimate.weights + estimate.mapped,
        estimate.cache,
        Math.max(drawing.scratch(), decoding(model, request.schedule())));
  }

  /** Sums of weights by where they will lie on the CPU. */
  private static final class Weighed {
    private long converted;
    private long mapped;

    void add(TensorEntry entry, DType compute) {
      boolean view = entry.dtype().name().equals(compute.name()) && entry.bytes().isMapped();
      if (view) {
        mapped += entry.bytes().byteSize();
      } else {
        converted += entry.elements() * compute.bytes();
      }
    }

    /** A weight that isn't converted before it is used. */
    void addStored(TensorEntry entry) {
      if (entry.bytes().isMapped()) {
        mapped += entry.bytes().byteSize();
      } else {
        converted += entry.bytes().byteSize();
      }
    }
  }

  /** The matrices of one layer of the text encoder, converted. */
  private static long textLayer(T5Config config) {
    long inner = (long) config.heads() * config.headDim();
    return config.width() * (4 * inner + 3L * config.hidden()) * DType.F32.bytes();
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
    try (Checkpoint checkpoint = Network.IMAGE_TOKENIZER.open(model.vaeFile())) {
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
    try (Checkpoint checkpoint = Network.IMAGE_TOKENIZER.open(model.vaeFile())) {
      return edge(model, VaeConfig.infer(checkpoint));
    }
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
