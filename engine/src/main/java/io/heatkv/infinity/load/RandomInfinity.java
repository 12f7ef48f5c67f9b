package io.heatkv.infinity.load;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.convert.RandomCheckpoint;
import io.heatkv.error.UserException;
import io.heatkv.family.NextScaleModel;
import io.heatkv.infinity.InfinityModel;
import io.heatkv.infinity.InfinityTransformer;
import io.heatkv.infinity.PublishedModel;
import io.heatkv.infinity.RotaryNormalization;
import io.heatkv.infinity.ScaleTemplate;
import io.heatkv.infinity.TextFeatures;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.infinity.TransformerKeys;
import io.heatkv.infinity.vae.BsqVae;
import io.heatkv.infinity.vae.MultiScaleBsq;
import io.heatkv.infinity.vae.VaeConfig;
import io.heatkv.infinity.vae.VaeKeys;
import io.heatkv.load.MemoryNeed;
import io.heatkv.load.RandomModel;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Tensor;
import java.util.List;
import java.util.Random;

/**
 * A transformer of any size with random weights, and the published image tokenizer that fits it.
 * Its prompts are noise, as many tokens as they say.
 */
record RandomInfinity(
    String name,
    TransformerConfig transformer,
    ScaleGrids grids,
    int textTokens,
    double cfg,
    double tau,
    double topP)
    implements InfinitySizes, RandomModel {
  private static final long SEED = 1;
  // Its last scale takes the kernels for many queries and many keys.
  private static final TransformerConfig TINY =
      new TransformerConfig(
          1, 256, 2, 1024, 8, 256, 16, 1, true, RotaryNormalization.ROUNDED, true, false);
  private static final ScaleGrids TINY_SCALES = ScaleGrids.parse("1x1,2x2,4x4,8x8,16x16,24x24");

  RandomInfinity(String name, TransformerConfig transformer, ScaleGrids grids) {
    this(name, transformer, grids, InfinityMemory.TEXT_TOKENS, 3, 1, PublishedModel.TOP_P);
  }

  /**
   * Of a published size.
   *
   * @throws UserException if there is none of that name
   */
  static RandomInfinity of(String size) {
    PublishedModel like = PublishedModel.parse(size);
    return new RandomInfinity(
        size, like.transformer(), ScaleTemplate.nearest(1).grids(like.resolution()));
  }

  @Override
  public RandomInfinity tiny() {
    return new RandomInfinity("tiny", TINY, TINY_SCALES, 4, cfg, tau, topP);
  }

  @Override
  public String example() {
    return String.valueOf(textTokens);
  }

  @Override
  public int maxScales() {
    return TransformerKeys.MAX_SCALES;
  }

  /** Channels of a code position, of which a token may have four. */
  private int codeChannels() {
    return transformer.spatialPatchify() ? transformer.bits() / 4 : transformer.bits();
  }

  @Override
  public VaeConfig vae() {
    return VaeConfig.published(codeChannels(), transformer.spatialPatchify());
  }

  @Override
  public MemoryNeed need(KvShape shape, CachePolicy policy, Device device) {
    return transformerNeed(shape, policy, device)
        .thenDecoding(
            decodingBytes(shape.grids().last(), device, shape.dtype())
                + InfinityMemory.recorded(transformer, device));
  }

  @Override
  public NextScaleModel load(Backend backend, Device device, DType dtype) {
    RandomCheckpoint weights =
        new RandomCheckpoint(
            TransformerKeys.shapes(transformer, TransformerKeys.poolHeads(transformer)), SEED);
    VaeConfig vae = vae();
    RandomCheckpoint pixels = new RandomCheckpoint(VaeKeys.decoder(vae), SEED);
    return new InfinityModel(
        name,
        new InfinityTransformer(transformer, weights, backend, device, dtype),
        new MultiScaleBsq(codeChannels(), transformer.spatialPatchify()),
        new Noise(backend, transformer.textChannels(), weights, pixels),
        () -> new BsqVae(vae, pixels, backend, device, dtype));
  }

  /** Closed with the model, and with it the weights. */
  private record Noise(
      Backend backend, int channels, RandomCheckpoint weights, RandomCheckpoint pixels)
      implements TextFeatures {
    @Override
    public Tensor of(String tokens, List<String> warnings) {
      int rows = Integer.parseInt(tokens);
      float[] values = new float[rows * channels];
      Random random = new Random(SEED);
      for (int i = 0; i < values.length; i++) {
        values[i] = random.nextFloat() - 0.5f;
      }
      return Tensor.of(backend, values, rows, channels);
    }

    @Override
    public void close() {
      weights.close();
      pixels.close();
    }
  }
}
