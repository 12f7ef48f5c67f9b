package io.heatkv.infinity.vae;

import io.heatkv.autoencoder.Decoder;
import io.heatkv.autoencoder.Encoder;
import io.heatkv.autoencoder.Layers;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.KeyCheck;
import io.heatkv.error.UserException;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.weights.Weights;
import java.util.Map;

/** The image tokenizer's networks: codes to pixels, and pixels to code features. */
public final class BsqVae implements AutoCloseable {
  private final VaeConfig config;
  private final Checkpoint checkpoint;
  private final DType dtype;
  private final Weights weights;
  private final Decoder decoder;

  /**
   * Takes the decoder's weights from {@code checkpoint}, which must stay open meanwhile.
   *
   * @throws UserException if a weight is missing
   */
  public BsqVae(
      VaeConfig config, Checkpoint checkpoint, Backend backend, Device device, DType dtype) {
    this.config = config;
    this.checkpoint = checkpoint;
    this.dtype = dtype;
    check(VaeKeys.decoder(config), "decoder");
    weights = new Weights(checkpoint, backend, device);
    try {
      decoder = new Decoder(layers(weights));
    } catch (RuntimeException e) {
      weights.close();
      throw e;
    }
  }

  private void check(Map<String, long[]> expected, String half) {
    KeyCheck.compare(checkpoint, expected).requirePresent();
    if (checkpoint.find(half + ".mid.attn_1.q.conv.weight").isPresent()) {
      throw new UserException(
          checkpoint.path()
              + ": has attention in its "
              + half
              + "; expected a tokenizer without, as all published ones");
    }
  }

  private Layers layers(Weights from) {
    return new Layers(from, checkpoint, dtype, ".conv", ".norm");
  }

  public VaeConfig config() {
    return config;
  }

  /**
   * Draws the picture of summed codes.
   *
   * @param codes [batch, channels, rows, columns]
   * @return [batch, 3, rows * stride, columns * stride], RGB in [-1, 1], float32
   */
  public Tensor decode(Tensor codes) {
    try (Scope scope = Scope.open()) {
      return scope.keep(decoder.decode(codes.to(weights.device())));
    }
  }

  /**
   * Features of a picture before quantisation.
   *
   * @param pixels [batch, 3, height, width], RGB in [-1, 1]
   * @return [batch, channels, height / stride, width / stride], float32
   * @throws UserException if the file has no encoder
   */
  public Tensor encode(Tensor pixels) {
    if (config.encoderMultipliers().isEmpty()) {
      throw new UserException(checkpoint.path() + ": has no encoder; it can only decode");
    }
    check(VaeKeys.encoder(config), "encoder");
    try (Weights own = new Weights(checkpoint, weights.backend(), weights.device());
        Scope scope = Scope.open()) {
      Tensor input = pixels.to(weights.device()).to(dtype);
      return scope.keep(Encoder.apply(layers(own), input).to(DType.F32));
    }
  }

  @Override
  public void close() {
    weights.close();
  }
}
