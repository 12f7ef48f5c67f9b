package io.heatkv.testkit.toy;

import io.heatkv.cache.KvShape;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.error.UserException;
import io.heatkv.family.Conditioning;
import io.heatkv.family.NextScaleModel;
import io.heatkv.family.Pass;
import io.heatkv.family.PictureRequest;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.List;
import java.util.stream.Stream;

/** The model on one device. */
public final class ToyModel implements NextScaleModel {
  private final ToyConfig config;
  private final ToyNetworks networks;
  private final Runnable afterwards;

  /**
   * Loads the weights; the checkpoint must stay open as long as the model.
   *
   * @param dtype compute type of the transformer's blocks
   * @throws UserException if the weights are not the configuration's
   */
  public ToyModel(
      ToyConfig config, Checkpoint checkpoint, Backend backend, Device device, DType dtype) {
    this(config, checkpoint, backend, device, dtype, () -> {});
  }

  /** As above with what is to be done once the model is closed. */
  ToyModel(
      ToyConfig config,
      Checkpoint checkpoint,
      Backend backend,
      Device device,
      DType dtype,
      Runnable afterwards) {
    this.config = config;
    this.afterwards = afterwards;
    networks = new ToyNetworks(config, checkpoint, backend, device, dtype);
  }

  @Override
  public Backend backend() {
    return networks.weights.backend();
  }

  @Override
  public Device device() {
    return networks.weights.device();
  }

  @Override
  public DType dtype() {
    return networks.dtype;
  }

  @Override
  public KvShape kvShape(int pictures, int rowsPerPicture, ScaleGrids grids) {
    return new KvShape(
        config.layers(),
        pictures * rowsPerPicture,
        rowsPerPicture,
        ToyConfig.HEADS,
        ToyConfig.HEAD_DIM,
        dtype(),
        grids);
  }

  @Override
  public void requireDrawable(ScaleGrids grids) {
    ToyConfig.requireDrawable(grids);
  }

  /** Rows of the class embedding: of each picture its class, then with guidance no class. */
  @Override
  public Conditioning encode(List<PictureRequest> pictures, boolean guided) {
    if (pictures.stream().anyMatch(picture -> !picture.sampling().guidedLayers().isEmpty())) {
      throw new UserException("toy models have guidance on logits only; leave out guided layers");
    }
    int rowsPerPicture = guided ? 2 : 1;
    long[] rows =
        pictures.stream()
            .flatMap(picture ->
                Stream.of(
                        ToyConfig.classOf(picture.prompt()),
                        picture
                            .negativePrompt()
                            .map(ToyConfig::classOf)
                            .orElse(ToyConfig.CLASSES.size()))
                    .limit(rowsPerPicture))
            .mapToLong(row -> row)
            .toArray();
    return new Conditioning() {
      @Override
      public List<String> warnings() {
        return List.of();
      }

      @Override
      public Pass begin(ScaleGrids grids) {
        return new ToyPass(networks, grids, rows, rowsPerPicture);
      }

      @Override
      public void close() {}
    };
  }

  /** One linear map from a token's codes to its pixels. */
  @Override
  public Tensor decode(Tensor canvas) {
    try (Scope scope = Scope.open()) {
      Tensor pixels = networks.decoder.apply(canvas.permute(0, 2, 3, 1)).permute(0, 3, 1, 2);
      Tensor image = Ops.pixelShuffle(pixels, ToyConfig.STRIDE);
      return scope.keep(Ops.clamp(image, networks.one.mul(-1), networks.one));
    }
  }

  @Override
  public Tensor encode(Tensor pixels) {
    try (Scope scope = Scope.open()) {
      Tensor tokens = Ops.pixelUnshuffle(pixels, ToyConfig.STRIDE).permute(0, 2, 3, 1);
      return scope.keep(networks.encoder.apply(tokens).permute(0, 3, 1, 2).contiguous());
    }
  }

  @Override
  public void close() {
    networks.weights.close();
    afterwards.run();
  }
}
