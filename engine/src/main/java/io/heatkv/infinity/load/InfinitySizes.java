package io.heatkv.infinity.load;

import io.heatkv.autoencoder.DecoderMemory;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.infinity.InfinityModel;
import io.heatkv.infinity.PublishedModel;
import io.heatkv.infinity.Resolution;
import io.heatkv.infinity.ScaleTemplate;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.infinity.vae.VaeConfig;
import io.heatkv.load.MemoryNeed;
import io.heatkv.load.ModelSizes;
import io.heatkv.scale.AspectRatio;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** What the sizes of a transformer tell. */
sealed interface InfinitySizes extends ModelSizes permits InfinityDescription, RandomInfinity {
  TransformerConfig transformer();

  /** Of the image tokenizer. */
  VaeConfig vae();

  /** Tokens of an example's text. */
  int textTokens();

  /** The most scales that a picture can have: each has a learned embedding. */
  int maxScales();

  /** Those of the templates; as many scales as the default ones have unless a resolution says. */
  @Override
  default ScaleGrids grids(Optional<String> resolution, Optional<AspectRatio> aspect) {
    if (resolution.isEmpty() && aspect.isEmpty()) {
      return grids();
    }
    return aspect
        .map(ScaleTemplate::nearest)
        .orElseGet(() -> ScaleTemplate.of(grids()))
        .grids(resolution.map(Resolution::parse).or(() -> ownResolution()).orElse(Resolution.P1));
  }

  /** The resolution that has as many scales as the default grids. */
  private Optional<Resolution> ownResolution() {
    return Arrays.stream(Resolution.values())
        .filter(each -> each.scales() == grids().count())
        .findFirst();
  }

  /** All templates up to its own resolution; other grids than theirs stand alone. */
  @Override
  default List<ScaleGrids> offeredGrids() {
    Stream<ScaleGrids> templates =
        ownResolution().stream()
            .flatMap(largest ->
                ScaleTemplate.values().stream()
                    .flatMap(template ->
                        Arrays.stream(Resolution.values())
                            .filter(each -> each.compareTo(largest) <= 0)
                            .map(template::grids)));
    return Stream.concat(Stream.of(grids()), templates).distinct().toList();
  }

  @Override
  default void requireDrawable(ScaleGrids grids) {
    InfinityModel.requireDrawable(name(), maxScales(), grids);
  }

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
  default long decodingBytes(ScaleSize grid, Device device, DType dtype) {
    VaeConfig vae = vae();
    return DecoderMemory.bytes(
        vae.baseChannels(),
        vae.decoderMultipliers(),
        (long) pixelsPerToken() * pixelsPerToken() * grid.tokens(),
        device,
        dtype);
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
