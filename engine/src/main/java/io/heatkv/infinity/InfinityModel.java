package io.heatkv.infinity;

import io.heatkv.cache.KvShape;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.error.UserException;
import io.heatkv.family.Conditioning;
import io.heatkv.family.FirstPass;
import io.heatkv.family.NextScaleModel;
import io.heatkv.family.Pass;
import io.heatkv.family.PictureRequest;
import io.heatkv.infinity.vae.BsqVae;
import io.heatkv.infinity.vae.MultiScaleBsq;
import io.heatkv.infinity.vae.VaeConfig;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.function.Supplier;

/** Infinity's three networks on one device: text encoder, transformer and image tokenizer. */
public final class InfinityModel implements NextScaleModel {
  private final String name;
  private final InfinityTransformer transformer;
  private final MultiScaleBsq quantizer;
  private final TextFeatures text;
  private final Supplier<BsqVae> maker;
  private Optional<BsqVae> vae;
  // Where a first pass was rehearsed.
  private Optional<DecodingThread> decoding = Optional.empty();

  /**
   * Puts networks together; the model owns them.
   *
   * @param name for messages
   * @param text from prompts to features
   * @param vae image tokenizer; without it nothing can be decoded
   */
  public InfinityModel(
      String name,
      InfinityTransformer transformer,
      MultiScaleBsq quantizer,
      TextFeatures text,
      Optional<BsqVae> vae) {
    this(
        name,
        transformer,
        quantizer,
        text,
        () -> {
          throw new IllegalStateException("the model has no image tokenizer");
        });
    this.vae = vae;
  }

  /** As above with an image tokenizer that is made when it is first asked for. */
  public InfinityModel(
      String name,
      InfinityTransformer transformer,
      MultiScaleBsq quantizer,
      TextFeatures text,
      Supplier<BsqVae> maker) {
    this.name = name;
    this.transformer = transformer;
    this.quantizer = quantizer;
    this.text = text;
    this.maker = maker;
    vae = Optional.empty();
  }

  /**
   * Loads the networks; the checkpoints must stay open meanwhile. They come in the order of what
   * they take to run for the first time, so that this can go on beside what is loaded after them.
   *
   * @param name for messages
   * @param codeChannels bits of a code position
   * @param textFolder with the text encoder's config.json and tokenizer
   * @param dtype compute type of the transformer's blocks
   * @param first the pass that is drawn first, if it is known; the decoder may run longer
   * @throws UserException if a file is damaged or they belong to different models
   */
  public static InfinityModel load(
      String name,
      TransformerConfig config,
      Checkpoint transformerFile,
      int codeChannels,
      Checkpoint vaeFile,
      Path textFolder,
      Checkpoint textWeights,
      Backend backend,
      Device device,
      DType dtype,
      Optional<FirstPass> first) {
    List<AutoCloseable> opened = new ArrayList<>();
    // Beside the transformer, if it is to run meanwhile.
    Executor beside = first.<Executor>map(FirstPass::beside).orElse(Runnable::run);
    CompletableFuture<PromptEncoder> text =
        CompletableFuture.supplyAsync(
            () -> {
              PromptEncoder encoder =
                  new PromptEncoder(
                      textFolder,
                      textWeights,
                      config.textChannels(),
                      config.textMaxLength(),
                      backend,
                      device);
              first.ifPresent(
                  pass -> FirstPass.attempt(() -> rehearse(encoder, pass, backend, device)));
              return encoder;
            },
            beside);
    opened.add(() -> text.thenAccept(PromptEncoder::close).exceptionally(_ -> null).join());
    try {
      VaeConfig vaeConfig = VaeConfig.infer(vaeFile);
      if (vaeConfig.channels() != codeChannels) {
        throw new UserException(
            vaeFile.path()
                + ": has codes of "
                + vaeConfig.channels()
                + " bits, the transformer draws "
                + codeChannels
                + "; they belong to different models");
      }
      // As under the official code's autocast; on the CPU halves gain nothing.
      DType vaeType = device.isCuda() ? dtype : DType.F32;
      BsqVae vae = new BsqVae(vaeConfig, vaeFile, backend, device, vaeType);
      opened.add(vae);
      MultiScaleBsq quantizer = new MultiScaleBsq(codeChannels, config.spatialPatchify());
      Optional<DecodingThread> decoding = first.map(_ -> new DecodingThread(vae));
      decoding.ifPresent(opened::add);
      first.ifPresent(pass ->
          decoding
              .orElseThrow()
              .begin(
                  () -> FirstPass.attempt(() -> rehearse(vae, quantizer, pass, backend, device))));
      InfinityTransformer transformer =
          new InfinityTransformer(config, transformerFile, backend, device, dtype);
      opened.add(transformer);
      PromptEncoder encoder = join(text);
      InfinityModel model =
          new InfinityModel(name, transformer, quantizer, encoder, Optional.of(vae));
      model.decoding = decoding;
      return model;
    } catch (RuntimeException | Error e) {
      for (AutoCloseable network : opened.reversed()) {
        closeAfter(e, network);
      }
      throw e;
    }
  }

  private static <T> T join(CompletableFuture<T> part) {
    try {
      return part.join();
    } catch (CompletionException e) {
      switch (e.getCause()) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        case null, default -> throw e;
      }
    }
  }

  /** Decodes a picture of no codes. */
  private static void rehearse(
      BsqVae vae, MultiScaleBsq quantizer, FirstPass pass, Backend backend, Device device) {
    try (Scope _ = Scope.open()) {
      Tensor _ = vae.decode(quantizer.empty(pass.grids(), 1, backend, device));
    }
    backend.synchronize(device);
  }

  /** Encodes a prompt. */
  private static void rehearse(PromptEncoder text, FirstPass pass, Backend backend, Device device) {
    try (Scope _ = Scope.open()) {
      Tensor _ = text.of(pass.pictures().getFirst().prompt(), new ArrayList<>());
    }
    backend.synchronize(device);
  }

  private static void closeAfter(Throwable failure, AutoCloseable network) {
    try {
      network.close();
    } catch (Exception e) {
      failure.addSuppressed(e);
    }
  }

  /** The transformer, for verification. */
  public InfinityTransformer transformer() {
    return transformer;
  }

  /**
   * The image tokenizer's networks.
   *
   * @throws IllegalStateException if the model has none
   */
  public synchronized BsqVae vae() {
    BsqVae made = vae.orElseGet(maker);
    vae = Optional.of(made);
    return made;
  }

  /** The image tokenizer's quantiser, for verification. */
  public MultiScaleBsq quantizer() {
    return quantizer;
  }

  /** Text features of a prompt [tokens, channels], in the innermost open scope. */
  public Tensor features(String prompt) {
    return text.of(prompt, new ArrayList<>());
  }

  @Override
  public Backend backend() {
    return transformer.backend();
  }

  @Override
  public Device device() {
    return transformer.device();
  }

  @Override
  public DType dtype() {
    return transformer.dtype();
  }

  @Override
  public KvShape kvShape(int pictures, int rowsPerPicture, ScaleGrids grids) {
    TransformerConfig config = transformer.config();
    return new KvShape(
        config.depth(),
        pictures * rowsPerPicture,
        rowsPerPicture,
        config.heads(),
        config.headDim(),
        dtype(),
        grids);
  }

  @Override
  public void requireDrawable(ScaleGrids grids) {
    requireDrawable(name, transformer.maxScales(), grids);
  }

  /**
   * @param maxScales that the transformer learned
   * @throws UserException if the grids are more
   */
  public static void requireDrawable(String model, int maxScales, ScaleGrids grids) {
    if (grids.count() > maxScales) {
      throw new UserException(
          "the picture has %d scales; model %s draws at most %d"
              .formatted(grids.count(), model, maxScales));
    }
  }

  @Override
  public Conditioning encode(List<PictureRequest> pictures, boolean guided) {
    return new Texts(pictures, guided);
  }

  /** Text features of the rows of some pictures. */
  private final class Texts implements Conditioning {
    private final Scope storage = Scope.detached();
    private final int rowsPerPicture;
    private final Map<String, Tensor> encoded = new HashMap<>();
    private final List<Tensor> rows = new ArrayList<>();
    private final List<String> warnings = new ArrayList<>();

    Texts(List<PictureRequest> pictures, boolean guided) {
      rowsPerPicture = guided ? 2 : 1;
      try (Scope _ = Scope.open()) {
        for (PictureRequest picture : pictures) {
          Tensor features = features(picture.prompt());
          rows.add(features);
          if (guided) {
            rows.add(
                picture
                    .negativePrompt()
                    .map(this::features)
                    .orElseGet(() -> unconditional(features.size(0))));
          }
        }
      } catch (RuntimeException | Error e) {
        storage.close();
        throw e;
      }
    }

    private Tensor features(String prompt) {
      return encoded.computeIfAbsent(
          prompt, text -> storage.adopt(InfinityModel.this.text.of(text, warnings)));
    }

    /** The learned features of no prompt, as many as the prompt has. */
    private Tensor unconditional(long tokens) {
      return storage.adopt(transformer.unconditional(tokens));
    }

    @Override
    public List<String> warnings() {
      return List.copyOf(warnings);
    }

    @Override
    public Pass begin(ScaleGrids grids) {
      return new InfinityPass(transformer, quantizer, grids, rows, rowsPerPicture);
    }

    @Override
    public void close() {
      storage.close();
    }
  }

  @Override
  public Tensor decode(Tensor canvas) {
    return decoding.map(thread -> thread.decode(canvas)).orElseGet(() -> vae().decode(canvas));
  }

  @Override
  public Tensor encode(Tensor pixels) {
    return vae().encode(pixels);
  }

  @Override
  public synchronized void close() {
    decoding.ifPresent(DecodingThread::close);
    vae.ifPresent(BsqVae::close);
    transformer.close();
    text.close();
  }
}
