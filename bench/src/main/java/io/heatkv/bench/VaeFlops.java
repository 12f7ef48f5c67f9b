package io.heatkv.bench;

import io.heatkv.infinity.vae.VaeConfig;

/** Counts the operations of the image tokenizer's decoder: its convolutions. */
public final class VaeFlops {
  private VaeFlops() {}

  /**
   * Floating-point operations to decode one picture.
   *
   * @param rows of codes
   * @param columns of codes
   */
  public static double decode(VaeConfig config, long rows, long columns) {
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
