package io.heatkv.infinity.vae;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.KeyCheck;
import io.heatkv.error.UserException;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.weights.Weights;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The image tokenizer's networks: codes to pixels, and pixels to code features. */
public final class BsqVae implements AutoCloseable {
  private final VaeConfig config;
  private final Checkpoint checkpoint;
  private final DType dtype;
  private final Weights weights;
  private final Convolution conv1;
  private final Convolution convOut;
  private final ResidualBlock.Norm normOut;
  private final List<ResidualBlock> middle = new ArrayList<>();
  private final List<Level> levels = new ArrayList<>();

  /** Blocks of one resolution, then a convolution on twice the size unless it is the finest. */
  private record Level(List<ResidualBlock> blocks, Optional<Convolution> upsample) {}

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
      conv1 = Convolution.load(weights, "decoder.conv_in", dtype);
      middle.add(block("decoder.mid.block_1"));
      middle.add(block("decoder.mid.block_2"));
      for (int level = config.decoderMultipliers().size() - 1; level >= 0; level--) {
        String name = "decoder.up." + level;
        List<ResidualBlock> blocks = new ArrayList<>();
        for (int i = 0; i <= config.blocks(); i++) {
          blocks.add(block(name + ".block." + i));
        }
        boolean widens = checkpoint.find(name + ".upsample.conv.conv.weight").isPresent();
        levels.add(
            new Level(
                blocks,
                widens
                    ? Optional.of(Convolution.load(weights, name + ".upsample.conv", dtype))
                    : Optional.empty()));
      }
      normOut = ResidualBlock.Norm.load(weights, "decoder.norm_out", dtype);
      convOut = Convolution.load(weights, "decoder.conv_out", dtype);
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

  private ResidualBlock block(String name) {
    return ResidualBlock.load(weights, checkpoint, name, dtype);
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
      Tensor h = conv1.apply(codes.to(weights.device()).to(dtype));
      for (ResidualBlock block : middle) {
        h = block.apply(h);
      }
      for (Level level : levels) {
        try (Scope inner = Scope.open()) {
          for (ResidualBlock block : level.blocks) {
            h = block.apply(h);
          }
          if (level.upsample.isPresent()) {
            Tensor twice = Ops.upsampleNearest(h, h.size(2) * 2, h.size(3) * 2);
            h = level.upsample.get().apply(twice);
          }
          h = inner.keep(h);
        }
      }
      Tensor pixels = convOut.apply(Ops.siluInPlace(normOut.apply(h))).to(DType.F32);
      Tensor low = Tensor.full(h.backend(), -1, DType.F32, h.device(), 1);
      Tensor high = Tensor.full(h.backend(), 1, DType.F32, h.device(), 1);
      return scope.keep(Ops.clamp(pixels, low, high));
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
    // Loaded for the call: reconstruction is rare, and generation needs no encoder.
    try (Weights own = new Weights(checkpoint, weights.backend(), weights.device());
        Scope scope = Scope.open()) {
      Tensor h =
          Convolution.load(own, "encoder.conv_in", dtype)
              .apply(pixels.to(weights.device()).to(dtype));
      for (int level = 0; level < config.encoderMultipliers().size(); level++) {
        String name = "encoder.down." + level;
        for (int i = 0; i < config.blocks(); i++) {
          h = ResidualBlock.load(own, checkpoint, name + ".block." + i, dtype).apply(h);
        }
        if (checkpoint.find(name + ".downsample.conv.conv.weight").isPresent()) {
          h = Convolution.load(own, name + ".downsample.conv", dtype).halve(h);
        }
      }
      h = ResidualBlock.load(own, checkpoint, "encoder.mid.block_1", dtype).apply(h);
      h = ResidualBlock.load(own, checkpoint, "encoder.mid.block_2", dtype).apply(h);
      ResidualBlock.Norm norm = ResidualBlock.Norm.load(own, "encoder.norm_out", dtype);
      Convolution out = Convolution.load(own, "encoder.conv_out", dtype);
      return scope.keep(out.apply(Ops.siluInPlace(norm.apply(h))).to(DType.F32));
    }
  }

  @Override
  public void close() {
    weights.close();
  }
}
