package io.heatkv.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.image.PngImage;
import org.junit.jupiter.api.Test;

/** Numbers of SciPy's filters, see tools/make_metric_numbers.py, closed forms, a naive oracle. */
class MsSsimTest {
  private static final double[] EXPONENTS = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};

  private static PngImage grey(int width, int height, int level) {
    return Patterns.picture(width, height, (_, _, _) -> level);
  }

  @Test
  void agreesWithScipy() {
    check(Patterns.calm(256, 192, 6), Patterns.calm(256, 192, 30), 0.6223948488292632);
    check(Patterns.calm(176, 208, 2), Patterns.calm(176, 208, 90), 0.20178047349908074);
    check(Patterns.busy(256, 256, 1), Patterns.busy(256, 256, 2), 0.19504373001538394);
  }

  private static void check(PngImage a, PngImage b, double expected) {
    assertThat(MsSsim.of(a, b)).isEqualTo(MsSsim.of(b, a)).isCloseTo(expected, within(1e-10));
  }

  @Test
  void closedForms() {
    PngImage calm = Patterns.calm(200, 180, 40);
    assertThat(MsSsim.of(calm, calm)).isCloseTo(1, within(1e-12));
    // Flat pictures have equal contrast; luminance counts at the last scale only.
    double luminance = (2 * 100 * 200.0 + 6.5025) / (10_000 + 40_000 + 6.5025);
    assertThat(MsSsim.of(grey(176, 176, 100), grey(176, 176, 200)))
        .isCloseTo(Math.pow(luminance, 0.1333), within(1e-9));
    // The negative of a picture has the opposite structure.
    PngImage negative =
        Patterns.picture(200, 180, (x, y, c) -> 255 - calm.rgb()[3 * (y * 200 + x) + c]);
    assertThat(MsSsim.of(calm, negative)).isZero();
  }

  /** Odd edges, straight from the definition: every window's sums by themselves. */
  @Test
  void agreesWithTheDefinition() {
    int width = 181;
    int height = 179;
    PngImage a = Patterns.calm(width, height, 20);
    PngImage b = Patterns.calm(width, height, 70);
    double[][] x = luma(a);
    double[][] y = luma(b);
    double expected = 1;
    for (int scale = 0; scale < 5; scale++) {
      if (scale > 0) {
        x = half(x);
        y = half(y);
      }
      expected *= Math.pow(naive(x, y, scale == 4), EXPONENTS[scale]);
    }
    assertThat(expected).isBetween(0.05, 0.95);
    assertThat(MsSsim.of(a, b)).isCloseTo(expected, within(1e-10));
  }

  private static double[][] luma(PngImage image) {
    byte[] rgb = image.rgb();
    double[][] luma = new double[image.height()][image.width()];
    for (int i = 0; i < rgb.length / 3; i++) {
      luma[i / image.width()][i % image.width()] =
          0.299 * (rgb[3 * i] & 0xFF)
              + 0.587 * (rgb[3 * i + 1] & 0xFF)
              + 0.114 * (rgb[3 * i + 2] & 0xFF);
    }
    return luma;
  }

  private static double[][] half(double[][] plane) {
    int height = plane.length;
    int width = plane[0].length;
    double[][] half = new double[(height + 1) / 2][(width + 1) / 2];
    for (int y = 0; y < half.length; y++) {
      for (int x = 0; x < half[0].length; x++) {
        for (int k = 0; k < 4; k++) {
          half[y][x] +=
              plane[Math.min(2 * y + k / 2, height - 1)][Math.min(2 * x + k % 2, width - 1)] / 4;
        }
      }
    }
    return half;
  }

  private static double naive(double[][] x, double[][] y, boolean luminance) {
    double sum = 0;
    int windows = 0;
    for (int top = 0; top + 11 <= x.length; top++) {
      for (int left = 0; left + 11 <= x[0].length; left++) {
        double[] m = new double[6];
        for (int i = 0; i < 121; i++) {
          int dy = i / 11 - 5;
          int dx = i % 11 - 5;
          double weight = Math.exp(-(dx * dx + dy * dy) / 4.5);
          double p = x[top + i / 11][left + i % 11];
          double q = y[top + i / 11][left + i % 11];
          double[] terms = {1, p, q, p * p, q * q, p * q};
          for (int k = 0; k < 6; k++) {
            m[k] += weight * terms[k];
          }
        }
        double mx = m[1] / m[0];
        double my = m[2] / m[0];
        double value =
            (2 * (m[5] / m[0] - mx * my) + 58.5225)
                / (m[3] / m[0] - mx * mx + m[4] / m[0] - my * my + 58.5225);
        sum += luminance ? value * (2 * mx * my + 6.5025) / (mx * mx + my * my + 6.5025) : value;
        windows++;
      }
    }
    return sum / windows;
  }

  @Test
  void smallPicturesAreRefused() {
    assertThat(MsSsim.LEAST_EDGE).isEqualTo(176);
    assertThat(MsSsim.isDefined(176, 176)).isTrue();
    assertThat(MsSsim.isDefined(175, 400)).isFalse();
    assertThatThrownBy(() -> MsSsim.of(grey(400, 175, 1), grey(400, 175, 1)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("176 pixels or more, not 400x175");
    assertThatThrownBy(() -> MsSsim.of(grey(256, 200, 1), grey(200, 256, 1)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("256x200 and 200x256");
  }
}
