package io.heatkv.var;

import io.heatkv.cache.KvShape;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.error.UserException;
import io.heatkv.family.Conditioning;
import io.heatkv.family.NextScaleModel;
import io.heatkv.family.Pass;
import io.heatkv.family.PictureRequest;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Tensor;
import io.heatkv.var.vae.VqConfig;
import io.heatkv.var.vae.VqVae;
import java.util.List;
import java.util.stream.LongStream;

/** VAR's two networks on one device: transformer and image tokenizer. Prompts are classes. */
public final class VarModel implements NextScaleModel {
  private final String name;
  private final VarTransformer transformer;
  private final VqVae vae;
  private final Runnable onClose;

  private VarModel(String name, VarTransformer transformer, VqVae vae, Runnable onClose) {
    this.name = name;
    this.transformer = transformer;
    this.vae = vae;
    this.onClose = onClose;
  }

  /**
   * Loads the networks; the checkpoints must stay open as long as the model.
   *
   * @param name for messages
   * @param dtype compute type of the transformer's linear layers
   * @param onClose run when the model is closed
   * @throws UserException if a file is damaged or they belong to different models
   */
  public static VarModel load(
      String name,
      VarConfig config,
      Checkpoint transformerFile,
      Checkpoint vaeFile,
      Backend backend,
      Device device,
      DType dtype,
      Runnable onClose) {
    VqConfig vaeConfig = VqConfig.infer(vaeFile);
    vaeConfig.requireCodebook(
        config.entries(), config.channels(), vaeFile.path(), transformerFile.path());
    VarTransformer transformer =
        new VarTransformer(config, transformerFile, backend, device, dtype);
    try {
      // As under the official demo's autocast; on the CPU halves gain nothing.
      DType vaeType = device.isCuda() ? dtype : DType.F32;
      VqVae vae = new VqVae(vaeConfig, vaeFile, backend, device, vaeType);
      return new VarModel(name, transformer, vae, onClose);
    } catch (RuntimeException | Error e) {
      transformer.close();
      throw e;
    }
  }

  /** The image tokenizer, for verification. */
  public VqVae vae() {
    return vae;
  }

  /** Sizes of the transformer. */
  public VarConfig config() {
    return transformer.config();
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
    return config().kvShape(pictures, rowsPerPicture, dtype(), grids);
  }

  @Override
  public void requireDrawable(ScaleGrids grids) {
    config().requireDrawable(name, vae.config().stride(), grids);
  }

  @Override
  public Conditioning encode(List<PictureRequest> pictures, boolean guided) {
    int rowsPerPicture = guided ? 2 : 1;
    long[] rows =
        pictures.stream().flatMapToLong(picture -> rows(picture).limit(rowsPerPicture)).toArray();
    pictures.forEach(picture -> requireSupported(picture.sampling(), guided));
    return new Conditioning() {
      @Override
      public List<String> warnings() {
        return List.of();
      }

      @Override
      public Pass begin(ScaleGrids grids) {
        return new VarPass(transformer, vae.quantizer(), rows, rowsPerPicture);
      }

      @Override
      public void close() {}
    };
  }

  /** The picture's class, then what guidance leads away from: another class, or none. */
  private LongStream rows(PictureRequest picture) {
    int classes = config().classes();
    return LongStream.of(
        ClassNames.parse(picture.prompt(), classes),
        picture.negativePrompt().map(other -> ClassNames.parse(other, classes)).orElse(classes));
  }

  private void requireSupported(SamplingOptions sampling, boolean guided) {
    if (!sampling.guidedLayers().isEmpty()) {
      throw new UserException(
          "model %s has guidance on logits only; leave out guided layers".formatted(name));
    }
    if (!guided && sampling.cfg().stream().anyMatch(strength -> strength != 0)) {
      throw new UserException(
          "model %s is unguided at cfg 0, not at %s; give 0 as the neutral strength"
              .formatted(name, sampling.neutralCfg()));
    }
  }

  @Override
  public Tensor decode(Tensor canvas) {
    return vae.decode(canvas);
  }

  @Override
  public Tensor encode(Tensor pixels) {
    return vae.encode(pixels);
  }

  @Override
  public void close() {
    vae.close();
    transformer.close();
    onClose.run();
  }
}
