package io.heatkv.autoencoder;

import java.util.List;

/** Counts the operations of a {@link Decoder}: its convolutions. */
public final class DecoderFlops {
  private DecoderFlops() {}

  /**
   * Floating-point operations to decode one picture.
   *
   * @param features channels that are decoded
   * @param base channels of the finest level
   * @param multipliers channels of each level over the base, finest first
   * @param blocks residual blocks of a level
   * @param doublings how many levels, from the coarsest on, end with twice the size
   * @param tokens positions that are decoded
   */
  public static double of(
      int features, int base, List<Integer> multipliers, int blocks, int doublings, long tokens) {
    double positions = tokens;
    double channels = (double) base * multipliers.getLast();
    double sum = convolution(3, features, channels, positions);
    sum += 2 * residual(channels, channels, positions);
    int left = doublings;
    for (int multiplier : multipliers.reversed()) {
      double out = (double) base * multiplier;
      for (int block = 0; block < blocks; block++) {
        sum += residual(channels, out, positions);
        channels = out;
      }
      if (left > 0) {
        left--;
        positions *= 4;
        sum += convolution(3, out, out, positions);
      }
    }
    return sum + convolution(3, channels, 3, positions);
  }

  private static double residual(double in, double out, double positions) {
    double both = convolution(3, in, out, positions) + convolution(3, out, out, positions);
    return in == out ? both : both + convolution(1, in, out, positions);
  }

  private static double convolution(int edge, double in, double out, double positions) {
    return 2 * edge * edge * in * out * positions;
  }
}
