package io.heatkv.infinity.load;

import io.heatkv.autoencoder.DecoderFlops;
import io.heatkv.cache.KvShape;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.infinity.vae.VaeConfig;
import io.heatkv.scale.ScaleGrids;

/** Counts floating-point operations. */
final class InfinityFlops {
  private InfinityFlops() {}

  /**
   * Of a scale's blocks and head, attention to everything included.
   *
   * @param textTokens of every prompt
   */
  static double transformer(TransformerConfig config, KvShape shape, int scale, int textTokens) {
    ScaleGrids grids = shape.grids();
    double width = config.width();
    double tokens = grids.tokens(scale);
    double seen = grids.offset(scale) + tokens;
    // Query, key, value, their projection, the text's query and projection: 6 width^2 a token.
    double products = 6 * width * width + 2 * width * config.hidden();
    double attention = 2 * width * (seen + textTokens);
    double head = 2 * width * config.bits();
    return 2 * shape.batch() * tokens * (config.depth() * (products + attention) + head);
  }

  /**
   * Of the image tokenizer's decoder for one picture: its convolutions.
   *
   * @param rows of codes
   * @param columns of codes
   */
  static double decode(VaeConfig config, long rows, long columns) {
    return DecoderFlops.of(
        config.channels(),
        config.baseChannels(),
        config.decoderMultipliers(),
        config.blocks() + 1,
        Integer.numberOfTrailingZeros(config.stride()),
        rows * columns);
  }
}
