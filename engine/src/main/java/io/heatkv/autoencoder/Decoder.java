package io.heatkv.autoencoder;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Features to pixels: blocks of ever finer levels. */
public final class Decoder {
  private final DType dtype;
  private final Convolution in;
  private final Stage middle;
  private final List<Level> levels = new ArrayList<>();
  private final GroupNorm norm;
  private final Convolution out;

  /** Blocks of one resolution, then a convolution on twice the size unless it is the finest. */
  private record Level(Stage blocks, Optional<Convolution> upsample) {}

  /** Takes the weights below {@code decoder}. */
  public Decoder(Layers layers) {
    dtype = layers.dtype();
    in = layers.convolution("decoder.conv_in");
    middle = Stage.middle(layers, "decoder.mid");
    for (int level = 0; layers.has("decoder.up." + level + ".block.0.conv1"); level++) {
      String name = "decoder.up." + level;
      Optional<Convolution> upsample =
          Optional.ofNullable(layers.convolutionIfAny(name + ".upsample.conv"));
      levels.addFirst(new Level(Stage.level(layers, name), upsample));
    }
    norm = layers.norm("decoder.norm_out");
    out = layers.convolution("decoder.conv_out");
  }

  /**
   * Draws pictures.
   *
   * @param features [batch, channels, rows, columns], in the compute type
   * @return [batch, 3, rows * stride, columns * stride], RGB, mostly in [-1, 1], float32
   */
  public Tensor apply(Tensor features) {
    try (Scope scope = Scope.open()) {
      Tensor h = middle.apply(in.apply(features));
      for (Level level : levels) {
        h = level.blocks.apply(h);
        if (level.upsample.isPresent()) {
          Tensor twice = Ops.upsampleNearest(h, h.size(2) * 2, h.size(3) * 2);
          h.release();
          h = level.upsample.get().apply(twice);
          twice.release();
        }
      }
      return scope.keep(out.apply(norm.silu(h)).to(DType.F32).contiguous());
    }
  }

  /** As {@link #apply}, limited to [-1, 1]. */
  public Tensor decode(Tensor features) {
    try (Scope scope = Scope.open()) {
      Tensor pixels = apply(features.to(dtype));
      Tensor low = Tensor.full(pixels.backend(), -1, DType.F32, pixels.device(), 1);
      Tensor high = Tensor.full(pixels.backend(), 1, DType.F32, pixels.device(), 1);
      return scope.keep(Ops.clamp(pixels, low, high));
    }
  }
}
