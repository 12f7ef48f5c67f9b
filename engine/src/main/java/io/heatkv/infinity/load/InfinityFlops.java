package io.heatkv.infinity.load;

import io.heatkv.cache.KvShape;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.infinity.vae.VaeConfig;
import io.heatkv.scale.ScaleSchedule;

/** Counts floating-point operations. */
final class InfinityFlops {
  private InfinityFlops() {}

  /**
   * Of a scale's blocks and head, attention to everything included.
   *
   * @param textTokens of every prompt
   */
  static double transformer(TransformerConfig config, KvShape shape, int scale, int textTokens) {
    ScaleSchedule schedule = shape.schedule();
    double width = config.width();
    double tokens = schedule.tokens(scale);
    double seen = schedule.offset(scale) + tokens;
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
    int levels = config.decoderMultipliers().size();
    double positions = (double) rows * columns;
    double channels = channels(config, levels - 1);
    double sum = convolution(3, config.channels(), channels, positions);
    sum += 2 * residual(channels, channels, positions);
    int doublings = Integer.numberOfTrailingZeros(config.stride());
    for (int level = levels - 1; level >= 0; level--) {
      double out = channels(config, level);
      for (int block = 0; block <= config.blocks(); block++) {
        sum += residual(channels, out, positions);
        channels = out;
      }
      if (doublings > 0) {
        doublings--;
        positions *= 4;
        sum += convolution(3, out, out, positions);
      }
    }
    return sum + convolution(3, channels, 3, positions);
  }

  private static double channels(VaeConfig config, int level) {
    return (double) config.baseChannels() * config.decoderMultipliers().get(level);
  }

  private static double residual(double in, double out, double positions) {
    double both = convolution(3, in, out, positions) + convolution(3, out, out, positions);
    return in == out ? both : both + convolution(1, in, out, positions);
  }

  private static double convolution(int edge, double in, double out, double positions) {
    return 2 * edge * edge * in * out * positions;
  }
}
