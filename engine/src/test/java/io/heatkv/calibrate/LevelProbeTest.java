package io.heatkv.calibrate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.heatkv.TestDevice;
import io.heatkv.cache.KvShape;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.schedule.Level;
import io.heatkv.schedule.Precision;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.Random;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Costs of levels of an observed run beside float64 attention to what plain loops store. */
class LevelProbeTest {
  private static final Backend BACKEND = TestDevice.backend();
  // Blocks larger than a map, blocks that don't divide it, more tokens than are sampled.
  private static final ScaleGrids SCALES = ScaleGrids.parse("1x1,2x2,3x2,5x6,9x8,13x9");
  private static final int LAYERS = 2;
  private static final int HEADS = 2;
  private static final int SAMPLED = 32;

  // [scale][layer][2 heads tokens dim]
  private final float[][][] q = new float[SCALES.count()][LAYERS][];
  private final float[][][] k = new float[SCALES.count()][LAYERS][];
  private final float[][][] v = new float[SCALES.count()][LAYERS][];
  private DType dtype = DType.F32;
  private int dim = 8;

  @ParameterizedTest
  @CsvSource({"1,0", "1,1048576", "0.01,0", "4,0"})
  void measuresWhatIsStored(float spread, long mostBytes) {
    check(spread, mostBytes, 1e-3);
  }

  /**
   * Numbers of few bits often lie in the middle of two codes. Kernels round what 4 bits decode to
   * to 16 bits: scores of spread 32 then carry some 1 %, their differences' squares four times
   * that.
   */
  @ParameterizedTest
  @CsvSource({
    "BF16,16,1,0.02",
    "F16,16,1,0.02",
    "BF16,32,0.01,0.02",
    "BF16,64,4,0.1",
    "F16,128,1,0.02",
    "BF16,128,1,0.02"
  })
  void measuresWhatIsStoredOfHalfPrecision(
      DType half, int channels, float spread, double ofKernels) {
    boolean isCuda = TestDevice.device().isCuda();
    assumeTrue(isCuda || spread <= 1, "operators lose companies that weigh less than 1e-38");
    dtype = half;
    dim = channels;
    check(spread, 1 << 20, isCuda ? ofKernels : 1e-3);
  }

  private void check(float spread, long mostBytes, double tolerance) {
    long live = BACKEND.liveTensors();
    double[][][][] measured = observe(new Random(1), new Random(2), spread, mostBytes);
    for (int s = 0; s < SCALES.count() - 1; s++) {
      for (int l = 0; l < LAYERS; l++) {
        for (int h = 0; h < HEADS; h++) {
          assertThat(measured[s][l][h]).hasSize(1 + Level.ALL.size());
          assertThat(measured[s][l][h][1]).as("16 bits").isZero();
          for (int level = 0; level <= Level.ALL.size(); level++) {
            if (level != 1) {
              double cost = cost(s, l, h, level == 0 ? null : Level.ALL.get(level - 1));
              assertThat(measured[s][l][h][level])
                  .as("source %s layer %s head %s level %s", s, l, h, level)
                  .isCloseTo(cost, within(tolerance * cost + 1e-12));
            }
          }
        }
      }
    }
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
  }

  @Test
  void takesTheFirstRowAlone() {
    assertThat(observe(new Random(1), new Random(3), 1, 0))
        .isDeepEqualTo(observe(new Random(1), new Random(4), 1, 0));
  }

  /** All attention on one scale: what is left without it is next to nothing. */
  @Test
  void staysFiniteWhereOneScaleHasAllAttention() {
    for (double[][][] source : observe(new Random(1), new Random(2), 30, 0)) {
      for (double[][] layer : source) {
        for (double[] head : layer) {
          for (double cost : head) {
            assertThat(cost).isBetween(0.0, 1e4);
          }
        }
      }
    }
  }

  private double[][][][] observe(Random first, Random second, float spread, long mostBytes) {
    KvShape shape = new KvShape(LAYERS, 2, 2, HEADS, dim, dtype, SCALES);
    try (ObservedCache cache =
        new ObservedCache(BACKEND, TestDevice.device(), shape, 0, (_, _) -> {}, false, mostBytes)) {
      for (int t = 0; t < SCALES.count(); t++) {
        for (int l = 0; l < LAYERS; l++) {
          q[t][l] = rounded(alike(values(first, second, t, spread), t));
          k[t][l] = rounded(values(first, second, t, 1));
          v[t][l] = rounded(values(first, second, t, 1));
          try (Scope _ = Scope.open()) {
            cache.attend(l, t, tensor(q[t][l], t), tensor(k[t][l], t), tensor(v[t][l], t));
          }
        }
      }
      return cache.levelCosts();
    }
  }

  /** Entries of a source as a level stores them. */
  private record Stored(double[][] keys, double[][] values, int[] counts) {}

  private Stored stored(int scale, int layer, int head, Level level) {
    ScaleSize map = SCALES.size(scale);
    int columns = Math.ceilDiv(map.width(), level.pool());
    int entries = level.entries(map);
    double[][] keys = new double[entries][dim];
    double[][] values = new double[entries][dim];
    int[] counts = new int[entries];
    for (int token = 0; token < map.tokens(); token++) {
      int row = token / map.width() / level.pool();
      int entry = row * columns + token % map.width() / level.pool();
      counts[entry]++;
      for (int d = 0; d < dim; d++) {
        keys[entry][d] += k[scale][layer][index(scale, head, token, d)];
        values[entry][d] += v[scale][layer][index(scale, head, token, d)];
      }
    }
    for (int i = 0; i < entries; i++) {
      for (int d = 0; d < dim; d++) {
        keys[i][d] /= counts[i];
        values[i][d] /= counts[i];
      }
    }
    switch (level.precision()) {
      case FLOAT16 -> {}
      case INT8 -> {
        int8(keys);
        int8(values);
      }
      case K8V4 -> {
        int8(keys);
        int4(values);
      }
      case INT4 -> {
        int4(keys);
        int4(values);
      }
    }
    return new Stored(keys, values, counts);
  }

  private void int8(double[][] entries) {
    for (double[] entry : entries) {
      double most = 0;
      for (double x : entry) {
        most = Math.max(most, Math.abs(x));
      }
      double step = halfAbove(most / 127);
      for (int d = 0; d < dim; d++) {
        entry[d] = Math.rint(entry[d] / step) * step;
      }
    }
  }

  private void int4(double[][] entries) {
    for (int d = 0; d < dim; d++) {
      double least = Double.POSITIVE_INFINITY;
      double most = Double.NEGATIVE_INFINITY;
      for (double[] entry : entries) {
        least = Math.min(least, entry[d]);
        most = Math.max(most, entry[d]);
      }
      double low = -halfAbove(-least);
      double step = halfAbove((most - low) / 15);
      for (double[] entry : entries) {
        entry[d] =
            step == 0 ? low : low + step * Math.clamp(Math.rint((entry[d] - low) / step), 0, 15);
      }
    }
  }

  /** The least half-precision number that isn't smaller. */
  private static double halfAbove(double x) {
    short half = Float.floatToFloat16((float) x);
    if (Float.float16ToFloat(half) < x) {
      return Float.float16ToFloat((short) (half + (half < 0 ? -1 : 1)));
    }
    return Float.float16ToFloat(half);
  }

  private double cost(int source, int layer, int head, @Nullable Level level) {
    Stored changed =
        level == null
            ? new Stored(new double[0][], new double[0][], new int[0])
            : stored(source, layer, head, level);
    Stored[] full = new Stored[SCALES.count()];
    for (int s = 0; s < full.length; s++) {
      full[s] = stored(s, layer, head, new Level(1, Precision.FLOAT16));
    }
    Stored[] other = full.clone();
    other[source] = changed;
    double sum = 0;
    for (int t = source + 1; t < SCALES.count(); t++) {
      int target = t;
      for (int query = 0; query < SCALES.tokens(t); query++) {
        for (IntPredicate company :
            new IntPredicate[] {s -> true, s -> s <= source || s == target}) {
          double[] before = output(t, layer, head, query, company, full);
          double[] after = output(t, layer, head, query, company, other);
          for (int d = 0; d < dim; d++) {
            sum += (after[d] - before[d]) * (after[d] - before[d]) / 2;
          }
        }
      }
    }
    return sum / dim / (SCALES.totalTokens() - SCALES.tokens(0));
  }

  private double[] output(
      int target, int layer, int head, int query, IntPredicate company, Stored[] scales) {
    double[] output = new double[dim];
    double total = 0;
    for (int s = 0; s <= target; s++) {
      if (!company.test(s)) {
        continue;
      }
      Stored stored = scales[s];
      for (int entry = 0; entry < stored.counts().length; entry++) {
        double score = 0;
        for (int d = 0; d < dim; d++) {
          score += q[target][layer][index(target, head, query, d)] * stored.keys()[entry][d];
        }
        double weight = stored.counts()[entry] * Math.exp(score);
        total += weight;
        for (int d = 0; d < dim; d++) {
          output[d] += weight * stored.values()[entry][d];
        }
      }
    }
    for (int d = 0; d < dim; d++) {
      output[d] /= total;
    }
    return output;
  }

  private int index(int scale, int head, int token, int channel) {
    return (head * SCALES.tokens(scale) + token) * dim + channel;
  }

  /** Of two rows, each of numbers of its own. */
  private float[] values(Random first, Random second, int scale, float spread) {
    float[] values = new float[2 * HEADS * SCALES.tokens(scale) * dim];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (i < values.length / 2 ? first : second).nextGaussian() * spread;
    }
    return values;
  }

  private float[] rounded(float[] values) {
    try (Scope _ = Scope.open()) {
      return Tensor.of(BACKEND, values, values.length).to(dtype).to(DType.F32).toFloats();
    }
  }

  /** Equal queries in scales of which only some are sampled, so that it doesn't matter which. */
  private float[] alike(float[] values, int scale) {
    for (int i = 0; SCALES.tokens(scale) > SAMPLED && i < values.length; i++) {
      int channels = SCALES.tokens(scale) * dim;
      values[i] = values[i / channels * channels + i % dim];
    }
    return values;
  }

  private Tensor tensor(float[] values, int scale) {
    return Tensor.of(BACKEND, values, 2, HEADS, SCALES.tokens(scale), dim)
        .to(dtype)
        .to(TestDevice.device());
  }
}
