package io.heatkv;

import io.heatkv.cache.KvShape;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Fingerprint;
import io.heatkv.error.UserException;
import io.heatkv.family.NextScaleModel;
import io.heatkv.infinity.InfinityModel;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.Network;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import java.util.List;
import java.util.concurrent.CancellationException;

/**
 * Draws pictures: the networks of one model on one device.
 *
 * <p>Several threads may draw at once.
 */
public final class ImageGenerator implements AutoCloseable {
  private final ModelDescription description;
  private final Checkpoint transformerFile;
  private final Checkpoint vaeFile;
  private final Checkpoint textFile;
  private final NextScaleModel model;

  /**
   * Loads a model.
   *
   * @param dtype compute type of the transformer's blocks
   * @throws UserException if a file is missing, damaged, or belongs to another model
   */
  public ImageGenerator(ModelDescription description, Backend backend, Device device, DType dtype) {
    this.description = description;
    transformerFile = Network.TRANSFORMER.open(description.transformerFile());
    vaeFile = Network.IMAGE_TOKENIZER.open(description.vaeFile());
    textFile = Network.TEXT_ENCODER.open(description.textWeights());
    model =
        InfinityModel.load(
            description.name(),
            description.transformer(),
            transformerFile,
            description.codeChannels(),
            vaeFile,
            description.textEncoder(),
            textFile,
            backend,
            device,
            dtype);
  }

  public ModelDescription description() {
    return description;
  }

  /** Tells this transformer's weights apart from others', see {@link Fingerprint}. */
  public String fingerprint() {
    return Fingerprint.of(transformerFile);
  }

  /** The networks, for calibration and comparison. */
  public NextScaleModel model() {
    return model;
  }

  /** Sizes of the cache that a request needs. */
  public KvShape kvShape(GenerationRequest request) {
    return model.kvShape(request.images(), request.rowsPerPicture(), request.schedule());
  }

  /**
   * Encodes a request's prompts and allocates its cache; nothing is drawn yet.
   *
   * @throws UserException if the request doesn't fit the model
   */
  public Generation open(GenerationRequest request) {
    return Generation.open(model, request);
  }

  /**
   * Draws the pictures of a request in one pass.
   *
   * @throws CancellationException if the listener ended it
   * @throws UserException if the request doesn't fit the model
   */
  public GenerationResult generate(GenerationRequest request, GenerationListener listener) {
    try (Generation generation = open(request)) {
      return generation.run(listener);
    }
  }

  @Override
  public void close() {
    model.close();
    for (Checkpoint file : List.of(textFile, vaeFile, transformerFile)) {
      file.close();
    }
  }
}
