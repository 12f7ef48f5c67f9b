package io.heatkv.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.GenerationListener;
import io.heatkv.GenerationRequest;
import io.heatkv.ImageGenerator;
import io.heatkv.cache.CachePolicy;
import io.heatkv.image.PngImage;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.IntToDoubleFunction;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Closed forms of the distance, and features of the embedded model's encoder. */
class FrechetDistanceTest {
  private static final Backend BACKEND = TestModel.backend();
  private long live;

  @BeforeEach
  void count() {
    live = BACKEND.liveTensors();
  }

  @AfterEach
  void allTensorsAreFreed() {
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
  }

  private static List<float[]> random(Random random, int samples, int dimensions) {
    List<float[]> set = new ArrayList<>();
    for (int i = 0; i < samples; i++) {
      float[] features = new float[dimensions];
      for (int k = 0; k < dimensions; k++) {
        // Halves of small numbers: sums with shifts are exact.
        features[k] = random.nextInt(-64, 64) / 2f;
      }
      set.add(features);
    }
    return set;
  }

  private static List<float[]> shifted(List<float[]> set, IntToDoubleFunction shift) {
    List<float[]> moved = new ArrayList<>();
    for (float[] features : set) {
      float[] other = features.clone();
      for (int k = 0; k < other.length; k++) {
        other[k] += (float) shift.applyAsDouble(k);
      }
      moved.add(other);
    }
    return moved;
  }

  @Test
  void equalSetsAndShiftedOnes() {
    long seed = 20260501;
    Random random = new Random(seed);
    // More, as many, and fewer samples than dimensions.
    for (int samples : new int[] {40, 7, 3, 2}) {
      List<float[]> set = random(random, samples, 7);
      String which = "seed " + seed + ", " + samples + " samples";
      assertThat(FrechetDistance.of(BACKEND, set, set)).as(which).isCloseTo(0, within(1e-9));
      // 0 + 1 + 4 + ... + 36.
      assertThat(FrechetDistance.of(BACKEND, set, shifted(set, k -> k)))
          .as(which)
          .isCloseTo(91, within(1e-9));
    }
  }

  /** A cross: sample 2k and 2k + 1 lie at ± on axis k, so that covariances are diagonal. */
  private static List<float[]> cross(float... lengths) {
    List<float[]> set = new ArrayList<>();
    for (int k = 0; k < lengths.length; k++) {
      for (int sign = -1; sign <= 1; sign += 2) {
        float[] features = new float[lengths.length];
        features[k] = sign * lengths[k];
        set.add(features);
      }
    }
    return set;
  }

  @Test
  void diagonalCovariances() {
    // Variances 2 x² / (n - 1) with n = 6: the distance is the sum of (deviation - other)².
    double unit = Math.sqrt(2 / 5.0);
    double expected =
        Math.pow(unit * (1 - 4), 2) + Math.pow(unit * (2 - 2), 2) + Math.pow(unit * (5 - 1), 2);
    assertThat(FrechetDistance.of(BACKEND, cross(1, 2, 5), cross(4, 2, 1)))
        .isCloseTo(expected, within(1e-9));
    // Orthogonal lines share nothing: the traces remain.
    assertThat(FrechetDistance.of(BACKEND, cross(3, 0, 0), cross(0, 0, 2)))
        .isCloseTo(2 / 5.0 * (9 + 4), within(1e-9));
    // A set of one point, told twice, has no spread.
    List<float[]> point = List.of(new float[3], new float[3]);
    assertThat(FrechetDistance.of(BACKEND, cross(1, 2, 5), point))
        .isCloseTo(2 / 5.0 * 30, within(1e-9));
  }

  /** Two dimensions have the closed root tr (S1 S2)^(1/2) = sqrt(tr S1 S2 + 2 sqrt(det S1 S2)). */
  @Test
  void twoDimensionsInClosedForm() {
    long seed = 20260502;
    Random random = new Random(seed);
    for (int round = 0; round < 50; round++) {
      List<float[]> a = random(random, random.nextInt(2, 9), 2);
      List<float[]> b = random(random, random.nextInt(2, 9), 2);
      double[] s = covariance(a);
      double[] t = covariance(b);
      double trace = s[2] * t[2] + 2 * s[3] * t[3] + s[4] * t[4];
      double det = Math.max(0, s[2] * s[4] - s[3] * s[3]) * Math.max(0, t[2] * t[4] - t[3] * t[3]);
      double expected =
          Math.pow(s[0] - t[0], 2)
              + Math.pow(s[1] - t[1], 2)
              + (s[2] + s[4] + t[2] + t[4])
              - 2 * Math.sqrt(Math.max(0, trace + 2 * Math.sqrt(det)));
      assertThat(FrechetDistance.of(BACKEND, a, b))
          .as("seed %d, round %d", seed, round)
          .isCloseTo(expected, within(1e-4));
    }
  }

  /** Means, then variance, covariance, variance. */
  private static double[] covariance(List<float[]> set) {
    double x = set.stream().mapToDouble(f -> f[0]).average().orElseThrow();
    double y = set.stream().mapToDouble(f -> f[1]).average().orElseThrow();
    double n = set.size() - 1;
    return new double[] {
      x,
      y,
      set.stream().mapToDouble(f -> (f[0] - x) * (f[0] - x)).sum() / n,
      set.stream().mapToDouble(f -> (f[0] - x) * (f[1] - y)).sum() / n,
      set.stream().mapToDouble(f -> (f[1] - y) * (f[1] - y)).sum() / n
    };
  }

  @Test
  void setsThatCannotBeComparedAreRefused() {
    List<float[]> set = cross(1, 2);
    assertThatThrownBy(() -> FrechetDistance.of(BACKEND, set, set.subList(0, 1)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("two samples or more, not 1");
    assertThatThrownBy(() -> FrechetDistance.of(BACKEND, List.of(), set))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> FrechetDistance.of(BACKEND, set, cross(1, 2, 3)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("2 and 3 dimensions");
  }

  @Test
  void featuresOfTheEncoder() {
    try (ImageGenerator model = TestModel.open()) {
      List<PngImage> pictures =
          model
              .generate(
                  GenerationRequest.of(
                      List.of("a red apple", "a blue fish"),
                      Optional.empty(),
                      2,
                      1,
                      ScaleGrids.parse("1x1,2x2,4x4,8x8"),
                      SamplingOptions.of(3, 0.7, 0.97),
                      CachePolicy.FULL),
                  GenerationListener.NONE)
              .images()
              .stream()
              .map(image -> image.pixels())
              .toList();
      List<float[]> features = TokenizerFeatures.of(model.model(), pictures);
      assertThat(features).hasSize(4);
      assertThat(features.getFirst()).hasSize(16);
      assertThat(features.get(0)).isNotEqualTo(features.get(2));
      float[] alone = TokenizerFeatures.of(model.model(), pictures.subList(2, 3)).getFirst();
      assertThat(alone).containsExactly(features.get(2), within(1e-4f));
      assertThat(FrechetDistance.of(BACKEND, features, features)).isCloseTo(0, within(1e-9));
      assertThat(TokenizerFeatures.of(model.model(), List.of())).isEmpty();
    }
  }

  @Test
  void planesOfAPicture() {
    PngImage picture = new PngImage(2, 1, new byte[] {0, (byte) 255, 51, 102, 0, (byte) 204});
    assertThat(Planes.of(picture))
        .containsExactly(new float[] {-1, -0.2f, 1, -1, -0.6f, 0.6f}, within(1e-6f));
  }
}
