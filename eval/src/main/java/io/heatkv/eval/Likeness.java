package io.heatkv.eval;

/**
 * How near a drawing is to another one of the same prompt and seed.
 *
 * @param psnr decibels, see {@link Psnr}
 * @param ssim see {@link Ssim}
 * @param bits share of equal bits, or other symbols
 */
public record Likeness(double psnr, double ssim, TokenAgreement bits) {
  /**
   * Compares the first pictures.
   *
   * @throws IllegalArgumentException if the drawings are of different sizes
   */
  public static Likeness of(Drawing reference, Drawing other) {
    return new Likeness(
        Psnr.of(reference.pictures().getFirst(), other.pictures().getFirst()),
        Ssim.of(reference.pictures().getFirst(), other.pictures().getFirst()),
        reference.agreement(other, 0));
  }
}
