package io.heatkv.infinity.load;

import io.heatkv.autoencoder.DecoderMemory;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.infinity.PublishedModel;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.infinity.vae.VaeConfig;
import io.heatkv.load.MemoryNeed;
import io.heatkv.load.ModelSizes;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;

/** What the sizes of a transformer tell. */
sealed interface InfinitySizes extends ModelSizes permits InfinityDescription, RandomInfinity {
  TransformerConfig transformer();

  /** Of the image tokenizer. */
  VaeConfig vae();

  /** Tokens of an example's text. */
  int textTokens();

  @Override
  default KvShape kvShape(int pictures, int rowsPerPicture, DType dtype, ScaleGrids grids) {
    TransformerConfig config = transformer();
    return new KvShape(
        config.depth(),
        pictures * rowsPerPicture,
        rowsPerPicture,
        config.heads(),
        config.headDim(),
        dtype,
        grids);
  }

  @Override
  default DType computeType(Device device) {
    return PublishedModel.computeType(transformer(), device);
  }

  @Override
  default MemoryNeed transformerNeed(KvShape shape, CachePolicy policy, Device device) {
    return InfinityMemory.transformer(transformer(), shape, textTokens(), policy, device);
  }

  @Override
  default long decodingBytes(ScaleSize grid, Device device) {
    VaeConfig vae = vae();
    return DecoderMemory.bytes(
        vae.baseChannels(),
        vae.decoderMultipliers(),
        (long) pixelsPerToken() * pixelsPerToken() * grid.tokens(),
        device);
  }

  /** Code positions of a token along an edge. */
  default int edge() {
    return transformer().spatialPatchify() ? 2 : 1;
  }

  @Override
  default int pixelsPerToken() {
    return vae().stride() * edge();
  }

  @Override
  default double flops(KvShape shape, int scale) {
    return InfinityFlops.transformer(transformer(), shape, scale, textTokens());
  }
}
