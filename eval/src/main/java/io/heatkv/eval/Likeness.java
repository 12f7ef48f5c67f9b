package io.heatkv.eval;

/**
 * How near a drawing is to another one of the same prompt and seed.
 *
 * @param psnr decibels, see {@link Psnr}
 * @param ssim see {@link Ssim}
 * @param bits share of equal bits
 */
public record Likeness(double psnr, double ssim, BitAgreement bits) {
  /**
   * Compares the first pictures and all bits.
   *
   * @throws IllegalArgumentException if the drawings are of different sizes
   */
  public static Likeness of(Drawing reference, Drawing other) {
    return new Likeness(
        Psnr.of(reference.picture(), other.picture()),
        Ssim.of(reference.picture(), other.picture()),
        BitAgreement.of(reference.bits(), other.bits()));
  }
}
