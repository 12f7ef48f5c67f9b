package io.heatkv.var.load;

import io.heatkv.autoencoder.DecoderMemory;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.load.MemoryNeed;
import io.heatkv.load.ModelSizes;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.var.ClassNames;
import io.heatkv.var.PublishedVar;
import io.heatkv.var.VarConfig;
import io.heatkv.var.vae.VqConfig;

/** What the sizes of both networks tell; drawing is as in the official demo. */
sealed interface VarSizes extends ModelSizes permits VarDescription, RandomVar {
  VarConfig config();

  VqConfig vae();

  @Override
  default ScaleGrids grids() {
    return config().grids();
  }

  @Override
  default int pixelsPerToken() {
    return vae().stride();
  }

  @Override
  default void requireDrawable(ScaleGrids grids) {
    config().requireDrawable(name(), vae().stride(), grids);
  }

  @Override
  default double cfg() {
    return PublishedVar.CFG;
  }

  @Override
  default double tau() {
    return 1;
  }

  @Override
  default double topP() {
    return PublishedVar.TOP_P;
  }

  /** Guidance is added to the conditional logits, so that 0 is none. */
  @Override
  default SamplingOptions sampling() {
    return SamplingOptions.of(cfg(), tau(), topP()).withTopK(PublishedVar.TOP_K).withNeutralCfg(0);
  }

  @Override
  default String example() {
    return config().classes() == ClassNames.COUNT ? "golden retriever" : "0";
  }

  @Override
  default KvShape kvShape(int pictures, int rowsPerPicture, DType dtype, ScaleGrids grids) {
    return config().kvShape(pictures, rowsPerPicture, dtype, grids);
  }

  /** As the official demo's autocast has it; on the CPU files of float32 stay mapped. */
  @Override
  default DType computeType(Device device) {
    return device.isCuda() ? DType.F16 : DType.F32;
  }

  @Override
  default MemoryNeed transformerNeed(KvShape shape, CachePolicy policy, Device device) {
    return VarMemory.drawing(this, shape, policy, device);
  }

  @Override
  default MemoryNeed need(KvShape shape, CachePolicy policy, Device device) {
    return VarMemory.need(this, shape, policy, device);
  }

  @Override
  default long decodingBytes(ScaleSize grid, Device device, DType dtype) {
    return DecoderMemory.bytes(
        vae().baseChannels(),
        vae().multipliers(),
        (long) pixelsPerToken() * pixelsPerToken() * grid.tokens(),
        device,
        dtype);
  }

  @Override
  default double flops(KvShape shape, int scale) {
    VarConfig config = config();
    double width = config.width();
    double tokens = shape.grids().tokens(scale);
    double seen = shape.grids().offset(scale) + tokens;
    // Query, key, value and their projection: 4 width^2 a token.
    double layer = 4 * width * width + 2 * width * config.hidden() + 2 * width * seen;
    return 2 * shape.batch() * tokens * (config.depth() * layer + width * config.entries());
  }
}
