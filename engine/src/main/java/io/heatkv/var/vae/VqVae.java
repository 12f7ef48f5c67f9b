package io.heatkv.var.vae;

import io.heatkv.autoencoder.Convolution;
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
import java.util.ArrayList;
import java.util.List;

/** VAR's image tokenizer: quantiser, codes to pixels, and pixels to features. */
public final class VqVae implements AutoCloseable {
  private final VqConfig config;
  private final Checkpoint checkpoint;
  private final DType dtype;
  private final Weights weights;
  private final MultiScaleVq quantizer;
  private final Convolution afterQuantizer;
  private final Decoder decoder;

  /**
   * Takes the weights of quantiser and decoder from {@code checkpoint}, which must stay open
   * meanwhile.
   *
   * @param dtype compute type of the decoder and encoder
   * @throws UserException if a weight is missing
   */
  public VqVae(
      VqConfig config, Checkpoint checkpoint, Backend backend, Device device, DType dtype) {
    this.config = config;
    this.checkpoint = checkpoint;
    this.dtype = dtype;
    KeyCheck.compare(checkpoint, VqKeys.decoder(config)).requirePresent();
    weights = new Weights(checkpoint, backend, device);
    try {
      Layers exact = layers(weights, DType.F32);
      List<Convolution> phis = new ArrayList<>();
      for (int i = 0; i < VqKeys.PHIS; i++) {
        phis.add(exact.convolution(VqKeys.phi(i)));
      }
      quantizer = new MultiScaleVq(weights.get(VqKeys.CODEBOOK, DType.F32), phis);
      Layers layers = layers(weights, dtype);
      afterQuantizer = layers.convolution("post_quant_conv");
      decoder = new Decoder(layers);
    } catch (RuntimeException e) {
      weights.close();
      throw e;
    }
  }

  private Layers layers(Weights from, DType type) {
    return new Layers(from, checkpoint, type, "", "");
  }

  public VqConfig config() {
    return config;
  }

  public MultiScaleVq quantizer() {
    return quantizer;
  }

  /**
   * Draws the picture of summed codes.
   *
   * @param codes [batch, channels, rows, columns]
   * @return [batch, 3, rows * stride, columns * stride], RGB in [-1, 1], float32
   */
  public Tensor decode(Tensor codes) {
    try (Scope scope = Scope.open()) {
      return scope.keep(decoder.decode(afterQuantizer.apply(input(codes))));
    }
  }

  /** As {@link #decode}, without the limit to [-1, 1]; for verification. */
  public Tensor decodeUnlimited(Tensor codes) {
    try (Scope scope = Scope.open()) {
      return scope.keep(decoder.apply(afterQuantizer.apply(input(codes))));
    }
  }

  private Tensor input(Tensor x) {
    return x.to(weights.device()).to(dtype);
  }

  /**
   * Features of a picture before quantisation.
   *
   * @param pixels [batch, 3, height, width], RGB in [-1, 1]
   * @return [batch, channels, height / stride, width / stride], float32
   * @throws UserException if the file has no encoder
   */
  public Tensor encode(Tensor pixels) {
    try (Scope scope = Scope.open();
        Weights own = new Weights(checkpoint, weights.backend(), weights.device())) {
      Tensor encoded = encoderOutput(own, pixels);
      Convolution last = layers(own, dtype).convolution("quant_conv");
      return scope.keep(last.apply(encoded).to(DType.F32));
    }
  }

  /** Output of the encoder's network, of which {@link #encode} makes features; for verification. */
  public Tensor encoderOutput(Tensor pixels) {
    try (Scope scope = Scope.open();
        Weights own = new Weights(checkpoint, weights.backend(), weights.device())) {
      return scope.keep(encoderOutput(own, pixels).to(DType.F32));
    }
  }

  private Tensor encoderOutput(Weights own, Tensor pixels) {
    if (checkpoint.find("encoder.conv_in.weight").isEmpty()) {
      throw new UserException(checkpoint.path() + ": has no encoder; it can only decode");
    }
    KeyCheck.compare(checkpoint, VqKeys.encoder(config)).requirePresent();
    return Encoder.apply(layers(own, dtype), input(pixels));
  }

  @Override
  public void close() {
    weights.close();
  }
}
