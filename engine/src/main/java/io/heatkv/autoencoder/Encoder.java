package io.heatkv.autoencoder;

import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;

/** Pixels to features: blocks of ever coarser levels. */
public final class Encoder {
  private Encoder() {}

  /**
   * Features of pictures. Weights below {@code encoder} are read as they are used: reconstruction
   * is rare, and generation needs no encoder.
   *
   * @param pixels [batch, 3, height, width], RGB in [-1, 1], in the compute type
   * @return [batch, channels, height / stride, width / stride]
   */
  public static Tensor apply(Layers layers, Tensor pixels) {
    try (Scope scope = Scope.open()) {
      Tensor h = layers.convolution("encoder.conv_in").apply(pixels);
      for (int level = 0; layers.has("encoder.down." + level + ".block.0.conv1"); level++) {
        String name = "encoder.down." + level;
        h = Stage.level(layers, name).apply(h);
        Convolution downsample = layers.convolutionIfAny(name + ".downsample.conv");
        h = downsample == null ? h : downsample.halve(h);
      }
      h = Stage.middle(layers, "encoder.mid").apply(h);
      h = layers.norm("encoder.norm_out").silu(h);
      return scope.keep(layers.convolution("encoder.conv_out").apply(h));
    }
  }
}
