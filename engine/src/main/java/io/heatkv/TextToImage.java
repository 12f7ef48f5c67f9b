package io.heatkv;

import io.heatkv.cache.KvCache;
import io.heatkv.cache.KvMemory;
import io.heatkv.cache.KvShape;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Fingerprint;
import io.heatkv.error.UserException;
import io.heatkv.image.PngImage;
import io.heatkv.infinity.Condition;
import io.heatkv.infinity.InfinityTransformer;
import io.heatkv.infinity.vae.BsqVae;
import io.heatkv.infinity.vae.MultiScaleBsq;
import io.heatkv.infinity.vae.Pixels;
import io.heatkv.infinity.vae.VaeConfig;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.Network;
import io.heatkv.scale.ScaleSchedule;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;

/**
 * Draws pictures of prompts: text encoder, transformer and image tokenizer of one model on one
 * device.
 *
 * <p>One generation at a time; {@link #generate} may be called from any thread, one after another.
 */
public final class TextToImage implements AutoCloseable {
  private final ModelDescription description;
  private final Backend backend;
  private final Device device;
  private final Checkpoint transformerFile;
  private final Checkpoint vaeFile;
  private final PromptEncoder text;
  private final InfinityTransformer transformer;
  private final BsqVae vae;
  private final MultiScaleBsq quantizer;

  /**
   * Loads a model.
   *
   * @param dtype compute type of the transformer's blocks
   * @throws UserException if a file is missing, damaged, or belongs to another model
   */
  public TextToImage(ModelDescription description, Backend backend, Device device, DType dtype) {
    this.description = description;
    this.backend = backend;
    this.device = device;
    Resources opened = new Resources();
    try {
      transformerFile = opened.add(Network.TRANSFORMER.open(description.transformerFile()));
      transformer =
          opened.add(
              new InfinityTransformer(
                  description.transformer(), transformerFile, backend, device, dtype));
      vaeFile = opened.add(Network.IMAGE_TOKENIZER.open(description.vaeFile()));
      VaeConfig config = VaeConfig.infer(vaeFile);
      if (config.channels() != description.codeChannels()) {
        throw new UserException(
            vaeFile.path()
                + ": has codes of "
                + config.channels()
                + " bits, the transformer draws "
                + description.codeChannels()
                + "; they belong to different models");
      }
      // As under the official code's autocast; on the CPU halves gain nothing.
      DType vaeType = device.isCuda() ? dtype : DType.F32;
      vae = opened.add(new BsqVae(config, vaeFile, backend, device, vaeType));
      text =
          opened.add(
              new PromptEncoder(
                  description.textEncoder(),
                  description.textWeights(),
                  description.transformer().textChannels(),
                  description.transformer().textMaxLength(),
                  backend,
                  device));
    } catch (RuntimeException e) {
      opened.close();
      throw e;
    }
    quantizer =
        new MultiScaleBsq(description.codeChannels(), description.transformer().spatialPatchify());
  }

  /** What was opened so far, closed in reverse if a later step fails. */
  private static final class Resources {
    private final List<AutoCloseable> opened = new ArrayList<>();

    <T extends AutoCloseable> T add(T resource) {
      opened.add(resource);
      return resource;
    }

    void close() {
      for (AutoCloseable resource : opened.reversed()) {
        try {
          resource.close();
        } catch (Exception e) {
          throw new IllegalStateException(e);
        }
      }
    }
  }

  public ModelDescription description() {
    return description;
  }

  /** Tells this transformer's weights apart from others', see {@link Fingerprint}. */
  public String fingerprint() {
    return Fingerprint.of(transformerFile);
  }

  /** The transformer, for calibration and comparison. */
  public InfinityTransformer transformer() {
    return transformer;
  }

  /** The image tokenizer's networks. */
  public BsqVae vae() {
    return vae;
  }

  /** The image tokenizer's quantiser. */
  public MultiScaleBsq quantizer() {
    return quantizer;
  }

  /**
   * Draws the pictures of a request in one pass.
   *
   * @throws CancellationException if the listener ended it
   * @throws UserException if the request doesn't fit the model
   */
  public GenerationResult generate(GenerationRequest request, GenerationListener listener) {
    requireDrawable(request.schedule());
    long start = System.nanoTime();
    List<String> warnings = new ArrayList<>();
    long[] seeds = request.seeds().stream().mapToLong(Long::longValue).toArray();
    try (Scope _ = Scope.open()) {
      Progress progress = new Progress(request, listener);
      Drawn drawn = draw(request, seeds, progress, start, warnings);
      long decodeStart = System.nanoTime();
      List<PngImage> pictures = decode(drawn.codes);
      List<GenerationResult.Image> images = new ArrayList<>();
      for (int i = 0; i < pictures.size(); i++) {
        images.add(new GenerationResult.Image(request.promptOf(i), seeds[i], pictures.get(i)));
      }
      return new GenerationResult(
          images,
          new GenerationResult.Timings(
              drawn.textMillis, progress.scaleMillis, millisSince(decodeStart)),
          request.schedule().totalTokens(),
          drawn.memory,
          kvShape(request).fullBytes(),
          warnings);
    }
  }

  /**
   * @throws UserException if the schedule has more scales than the model knows
   */
  public void requireDrawable(ScaleSchedule schedule) {
    if (schedule.count() > transformer.maxScales()) {
      throw new UserException(
          "the picture has %d scales; model %s draws at most %d"
              .formatted(schedule.count(), description.name(), transformer.maxScales()));
    }
  }

  /**
   * What the transformer drew.
   *
   * @param codes of all pictures [batch, channels, rows, columns]
   */
  private record Drawn(Tensor codes, double textMillis, KvMemory memory) {}

  /** Frees the cache before pictures are decoded: both are large. */
  private Drawn draw(
      GenerationRequest request,
      long[] seeds,
      Progress progress,
      long start,
      List<String> warnings) {
    try (Scope scope = Scope.open();
        Condition condition = transformer.condition(rows(request, warnings));
        KvCache cache = request.policy().open(backend, device, kvShape(request))) {
      backend.synchronize(device);
      double textMillis = millisSince(start);
      progress.begin();
      Tensor codes =
          new ScaleLoop(transformer, quantizer)
              .run(condition, request.schedule(), request.sampling(), seeds, cache, progress);
      return new Drawn(scope.keep(codes), textMillis, cache.memory());
    }
  }

  /** Sizes of the cache that a request needs. */
  public KvShape kvShape(GenerationRequest request) {
    return new KvShape(
        transformer.config().depth(),
        request.images() * (request.sampling().isGuided() ? 2 : 1),
        transformer.config().heads(),
        transformer.config().headDim(),
        transformer.dtype(),
        request.schedule());
  }

  /**
   * Text features of every row: each picture's prompt, then, with guidance, what it is guided away
   * from.
   */
  public List<Tensor> rows(GenerationRequest request, List<String> warnings) {
    List<Tensor> rows = new ArrayList<>();
    for (String prompt : request.prompts()) {
      Tensor features = text.encode(prompt, warnings);
      for (int i = 0; i < request.imagesPerPrompt(); i++) {
        rows.add(features);
      }
    }
    if (request.sampling().isGuided()) {
      int images = rows.size();
      Tensor negative =
          request.negativePrompt().map(prompt -> text.encode(prompt, warnings)).orElse(null);
      for (int i = 0; i < images; i++) {
        rows.add(negative != null ? negative : transformer.unconditional(rows.get(i).size(0)));
      }
    }
    return rows;
  }

  /**
   * Decodes summed codes one picture at a time, which bounds the memory.
   *
   * @param codes [batch, channels, rows, columns]
   */
  public List<PngImage> decode(Tensor codes) {
    List<PngImage> pictures = new ArrayList<>();
    for (long i = 0; i < codes.size(0); i++) {
      try (Scope _ = Scope.open()) {
        Tensor image = vae.decode(codes.narrow(0, i, 1)).select(0, 0);
        pictures.add(
            new PngImage(
                Math.toIntExact(image.size(2)),
                Math.toIntExact(image.size(1)),
                Pixels.toRgb(image)));
      }
    }
    return pictures;
  }

  private static double millisSince(long start) {
    return (System.nanoTime() - start) / 1e6;
  }

  /** Times the scales, tells the listener, and ends a cancelled generation. */
  private final class Progress implements ScaleObserver {
    private final GenerationRequest request;
    private final GenerationListener listener;
    private final List<Double> scaleMillis = new ArrayList<>();
    private long start;

    Progress(GenerationRequest request, GenerationListener listener) {
      this.request = request;
      this.listener = listener;
    }

    void begin() {
      start = System.nanoTime();
    }

    @Override
    public void scaleDone(int scale, Tensor bits, Tensor sum) {
      backend.synchronize(device);
      scaleMillis.add(millisSince(start));
      listener.bitsChosen(scale, bits::toBytes);
      listener.scaleDone(scale, request.schedule().count(), () -> decode(sum));
      if (listener.isCancelled()) {
        throw new CancellationException("the generation was cancelled");
      }
      // Previews and listeners don't count as drawing.
      begin();
    }
  }

  @Override
  public void close() {
    text.close();
    vae.close();
    vaeFile.close();
    transformer.close();
    transformerFile.close();
  }
}
