package io.heatkv.eval;

import static io.heatkv.eval.Patterns.busy;
import static io.heatkv.eval.Patterns.calm;
import static io.heatkv.eval.Patterns.picture;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.image.PngImage;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Numbers of scikit-image 0.26, see tools/make_metric_numbers.py, and closed forms. */
class MetricsTest {
  private static void check(PngImage a, PngImage b, double psnr, double ssim) {
    assertThat(Psnr.of(a, b)).isEqualTo(Psnr.of(b, a)).isCloseTo(psnr, within(1e-10));
    assertThat(Ssim.of(a, b)).isEqualTo(Ssim.of(b, a)).isCloseTo(ssim, within(1e-10));
  }

  @Test
  void agreesWithScikitImage() {
    check(busy(37, 29, 1), busy(37, 29, 2), 7.9666981968200865, 0.033181757977161774);
    check(calm(64, 48, 6), calm(64, 48, 30), 18.642328833152916, 0.6062728762127544);
    check(calm(11, 11, 6), calm(11, 11, 9), 42.60381984369448, 0.9930934003196736);
    check(calm(40, 23, 0), busy(40, 23, 3), 8.89650262339044, 0.022119537864621827);
  }

  @Test
  void closedForms() {
    PngImage busy = busy(20, 30, 5);
    assertThat(Psnr.of(busy, busy)).isEqualTo(Double.POSITIVE_INFINITY);
    assertThat(Ssim.of(busy, busy)).isCloseTo(1, within(1e-12));
    // An error of one level everywhere: 20 log10(255).
    PngImage grey = picture(16, 16, (_, _, _) -> 100);
    assertThat(Psnr.of(grey, picture(16, 16, (_, _, _) -> 101)))
        .isCloseTo(48.130803608679, within(1e-10));
    // Flat pictures differ by their means only: (2 x y + C1) / (x² + y² + C1), C1 = 2.55².
    assertThat(Ssim.of(grey, picture(16, 16, (_, _, _) -> 200)))
        .isCloseTo((2 * 100 * 200.0 + 6.5025) / (10_000 + 40_000 + 6.5025), within(1e-9));
  }

  @Test
  void otherSizesAreRefused() {
    assertThatThrownBy(() -> Psnr.of(calm(20, 12, 1), calm(12, 20, 1)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("20x12 and 12x20");
    assertThatThrownBy(() -> Ssim.of(calm(20, 12, 1), calm(12, 20, 1)))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> Ssim.of(calm(10, 30, 1), calm(10, 30, 1)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("10x30");
  }

  @Test
  void bitsAreCountedByScaleAndTogether() {
    TokenAgreement agreement =
        TokenAgreement.of(
            List.of(new int[] {0, 1}, new int[] {1, 1, 0, 0, 1, 0}),
            List.of(new int[] {0, 1}, new int[] {1, 0, 0, 0, 0, 1}));
    assertThat(agreement.scales()).containsExactly(1.0, 0.5);
    assertThat(agreement.overall()).isEqualTo(5 / 8.0);
    assertThatThrownBy(() -> TokenAgreement.of(List.of(new int[2]), List.of(new int[3])))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> TokenAgreement.of(List.of(), List.of()))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void unrelatedBitsAgreeByHalf() {
    long seed = 20260101;
    Random random = new Random(seed);
    int[] a = new int[40_000];
    int[] b = new int[40_000];
    for (int i = 0; i < a.length; i++) {
      a[i] = random.nextInt(2);
      b[i] = random.nextInt(2);
    }
    // Five standard deviations.
    assertThat(TokenAgreement.of(List.of(a), List.of(b)).overall())
        .as("seed " + seed)
        .isCloseTo(0.5, within(5 * 0.5 / 200));
  }
}
