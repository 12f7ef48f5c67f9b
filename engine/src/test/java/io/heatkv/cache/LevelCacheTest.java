package io.heatkv.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.TestDevice;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.Atom;
import io.heatkv.schedule.Level;
import io.heatkv.schedule.LevelCosts;
import io.heatkv.schedule.LevelPlan;
import io.heatkv.schedule.LevelSet;
import io.heatkv.schedule.LevelShape;
import io.heatkv.schedule.LevelStep;
import io.heatkv.schedule.LevelSteps;
import io.heatkv.schedule.Precision;
import io.heatkv.schedule.StoredAtom;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Levels chosen at random, beside a naive codec and a float64 softmax with counts. */
class LevelCacheTest {
  private static final Backend BACKEND = TestDevice.backend();
  private static final ScaleGrids SCALES = ScaleGrids.parse("1x1,2x2,3x2,5x4,13x9,14x10");
  private static final int LAYERS = 3;
  private static final int HEADS = 3;
  private static final int DIM = 32;

  private static KvShape shape(int rows, DType dtype) {
    return new KvShape(LAYERS, rows, 1, HEADS, DIM, dtype, SCALES);
  }

  /** Queries, keys or values of all rows [rows, heads, tokens, dim], each row's by its number. */
  private static float[] input(int[] rows, int scale, int layer, int part) {
    int count = HEADS * SCALES.tokens(scale) * DIM;
    float[] all = new float[rows.length * count];
    for (int i = 0; i < rows.length; i++) {
      Random random = new Random(((rows[i] * 31L + scale) * 31 + layer) * 31 + part);
      // Scores of a few units, so that several keys count.
      float size = part == 0 ? 0.3f : 1 + rows[i];
      for (int j = 0; j < count; j++) {
        all[i * count + j] = size * (float) random.nextGaussian();
      }
    }
    return all;
  }

  private static double[] attend(KvCache cache, int[] rows, int scale, int layer, DType dtype) {
    try (Scope _ = Scope.open()) {
      Tensor[] parts = new Tensor[3];
      for (int part = 0; part < 3; part++) {
        parts[part] = tensor(input(rows, scale, layer, part), rows.length, scale, dtype);
      }
      return cache.attend(layer, scale, parts[0], parts[1], parts[2]).toDoubles();
    }
  }

  private static Tensor tensor(float[] values, int rows, int scale, DType dtype) {
    return Tensor.of(BACKEND, values, rows, HEADS, SCALES.tokens(scale), DIM)
        .to(dtype)
        .to(TestDevice.device());
  }

  // The CPU decodes to float32, so that only outputs are rounded: half of the spacing of numbers
  // from 4 to 8, 2^-6 in bf16 and 2^-9 in fp16. CUDA also rounds what it decodes and probabilities.
  // With u = 2^-8 or 2^-11 an output o moves to first order by at most
  // u (sum w |v - o| |q||k| + 2 sum w |v| + |o|): 0.31 or 0.038 here. In float64 with just these
  // roundings it moves by 0.032 or 0.0047, by those of decoded keys and values 0.031 or 0.0042.
  @ParameterizedTest
  @CsvSource({"F32, 2e-5, 2e-5", "BF16, 0.0157, 0.06", "F16, 0.002, 0.01"})
  void attendsToWhatIsStored(DType dtype, double onCpu, double onCuda) {
    long live = BACKEND.liveTensors();
    int[] rows = {0, 1};
    for (long seed = 1; seed <= 6; seed++) {
      RandomLevels plan = new RandomLevels(SCALES, LAYERS, HEADS, DIM, seed);
      NaiveLevels naive = new NaiveLevels(SCALES, rows.length, HEADS, DIM, dtype);
      try (LevelCache cache = open(shape(rows.length, dtype), plan)) {
        for (int t = 0; t < SCALES.count(); t++) {
          for (int l = 0; l < LAYERS; l++) {
            double[] actual = attend(cache, rows, t, l, dtype);
            float[][] parts = new float[3][];
            for (int part = 0; part < 3; part++) {
              try (Scope _ = Scope.open()) {
                parts[part] = tensor(input(rows, t, l, part), rows.length, t, dtype).toFloats();
              }
            }
            LevelStep step = plan.step(t, l);
            double[] expected = naive.attend(step, t, parts[0], parts[1], parts[2]);
            assertThat(difference(actual, expected))
                .as("seed %s scale %s layer %s", seed, t, l)
                .isLessThan(TestDevice.device().isCuda() ? onCuda : onCpu);
            spoil(cache, plan.free(t, l));
          }
        }
      }
    }
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
  }

  /** The largest; a NaN is one. */
  private static double difference(double[] a, double[] b) {
    assertThat(a).hasSameSizeAs(b);
    double largest = 0;
    for (int i = 0; i < a.length; i++) {
      largest = Math.max(largest, Math.abs(a[i] - b[i]));
    }
    return largest;
  }

  private static LevelCache open(KvShape shape, LevelSteps steps) {
    LevelPlan.Use none = new LevelPlan.Use(0, 0, 0, 0, 0);
    KvPlan plan = new PlannedLevels(steps, none).plan(shape);
    LevelCache cache = (LevelCache) plan.open(BACKEND, TestDevice.device());
    assertThat(cache.memory().storage()).isEqualTo(plan.bytes());
    return cache;
  }

  /** Ones in all bits are NaN in half precision. */
  private static void spoil(LevelCache cache, int[] granules) {
    try (Scope _ = Scope.open()) {
      Tensor arena = cache.arena();
      long[] places = Arrays.stream(granules).asLongStream().toArray();
      Tensor ones =
          Tensor.full(
              BACKEND, 255, DType.U8, arena.device(), arena.size(0), places.length, arena.size(2));
      Tensor index = Tensor.of(BACKEND, places, places.length).to(arena.device());
      Ops.indexCopy(arena, 1, index, ones);
    }
  }

  @Test
  void rowsDontInfluenceEachOther() {
    RandomLevels plan = new RandomLevels(SCALES, LAYERS, HEADS, DIM, 5);
    // Other compositions of a batch may take other kernels on CUDA.
    double tolerance = TestDevice.device().isCuda() ? 1e-5 : 0;
    try (LevelCache all = open(shape(4, DType.F32), plan);
        LevelCache second = open(shape(1, DType.F32), plan);
        LevelCache fourth = open(shape(1, DType.F32), plan)) {
      int[] rows = {0, 1, 2, 3};
      for (int t = 0; t < SCALES.count(); t++) {
        if (t == 3) {
          all.removeRows(0, 1);
          rows = new int[] {3, 1, 2};
        } else if (t == 4) {
          all.removeRows(2, 1);
          rows = new int[] {3, 1};
        }
        for (int l = 0; l < LAYERS; l++) {
          double[] together = attend(all, rows, t, l, DType.F32);
          int each = together.length / rows.length;
          double[] alone = attend(second, new int[] {1}, t, l, DType.F32);
          assertThat(difference(Arrays.copyOfRange(together, each, 2 * each), alone))
              .isLessThanOrEqualTo(tolerance);
          alone = attend(fourth, new int[] {3}, t, l, DType.F32);
          int at = rows.length == 4 ? 3 * each : 0;
          assertThat(difference(Arrays.copyOfRange(together, at, at + each), alone))
              .isLessThanOrEqualTo(tolerance);
        }
      }
    }
  }

  /** What a plan counts beside keys and values is what lies on the device, and little. */
  @Test
  void tablesOnTheDeviceAreThoseOfThePlan() {
    int split = 0;
    for (long seed = 0; seed < 40; seed++) {
      Random random = new Random(seed);
      int layers = 1 + random.nextInt(6);
      int heads = 1 + random.nextInt(6);
      KvShape shape = new KvShape(layers, 2, 2, heads, DIM, DType.F32, SCALES);
      LevelShape sizes = shape.levelShape(0);
      double budget = Math.pow(0.01, 0.2 + 0.7 * random.nextDouble());
      LevelPlan plan = LevelPlan.of(sizes, costs(layers, heads, random), LevelSet.ALL, budget);
      KvPlan kv = new PlannedLevels(plan, plan.use()).plan(shape);
      try (KvCache cache = kv.open(BACKEND, TestDevice.device())) {
        for (int t = 0; t < SCALES.count(); t++) {
          split += plan.groups(t).length - 1;
          for (int l = 0; l < layers; l++) {
            try (Scope _ = Scope.open()) {
              Tensor x =
                  Tensor.full(
                      BACKEND, 0, DType.F32, TestDevice.device(), 2, heads, SCALES.tokens(t), DIM);
              cache.attend(l, t, x, x, x);
            }
          }
        }
        long bytes = (long) (budget * sizes.rowBytes());
        assertThat(cache.memory().parts()).as("seed %s", seed).isEqualTo(kv.parts());
        assertThat(cache.memory().parts().tables())
            .as("seed %s", seed)
            .isEqualTo(plan.tableBytes())
            .isLessThanOrEqualTo(Math.max(2048, bytes * 3 / 100))
            .isLessThanOrEqualTo(bytes - cache.memory().storage() / 2);
      }
    }
    assertThat(split).isPositive();
  }

  @Test
  void lessIsStoredWhereOneLayersTablesAreTooLarge() {
    LevelShape shape = LevelShape.of(1, 40, DIM, 2, SCALES, 0);
    LevelCosts costs = costs(1, 40, new Random(1));
    LevelPlan plan = LevelPlan.of(shape, costs, LevelSet.ALL, 15_000.0 / shape.rowBytes());
    assertThat(plan.tableBytes()).isBetween(1024L, 2048L);
    assertThat(plan.rowBytes()).isLessThanOrEqualTo(15_000 - plan.tableBytes());
  }

  private static LevelCosts costs(int layers, int heads, Random random) {
    long[][][][] sums = new long[SCALES.count() - 1][layers][heads][LevelCosts.LEVELS];
    for (long[][][] source : sums) {
      for (long[][] layer : source) {
        for (long[] head : layer) {
          head[0] = random.nextInt(1 << 20);
          for (int i = 1; i < head.length; i++) {
            head[i] = random.nextLong(head[0] + 1);
          }
        }
      }
    }
    return LevelCosts.of(1, sums);
  }

  /** What a plan counts is what the store lays down. */
  @ParameterizedTest
  @EnumSource
  void levelsTakeTheGranulesOfThePlan(Precision precision) {
    for (int pool : new int[] {1, 2, 4, 8}) {
      Level level = new Level(pool, precision);
      for (int dim : new int[] {2, 32, 64, 128}) {
        KvShape shape = new KvShape(1, 1, 1, 1, dim, DType.F32, SCALES);
        for (int source = 0; source < SCALES.count(); source++) {
          int granules = level.granules(SCALES.size(source), dim);
          Atom atom = new Atom(source, 0, 0);
          assertThat(PlannedLevels.map(shape, new StoredAtom(atom, level, new int[0])).bytes(dim))
              .isEqualTo(granules * dim / 2);
        }
      }
    }
  }

  @Test
  void aPlanOfOtherSizesIsRefused() {
    StoredAtom atom = new StoredAtom(new Atom(0, 0, 0), Level.ALL.getFirst(), new int[] {0, 3});
    LevelSteps steps =
        new LevelSteps() {
          @Override
          public int granules() {
            return 8;
          }

          @Override
          public LevelStep step(int scale, int layer) {
            return new LevelStep(List.of(), List.of(), List.of(atom));
          }

          @Override
          public int[] groups(int scale) {
            return new int[] {1};
          }
        };
    try (LevelCache cache = open(shape(1, DType.F32), steps)) {
      assertThatThrownBy(() -> attend(cache, new int[] {0}, 0, 0, DType.F32))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("3 granules of 16 bytes for 128 bytes");
    }
  }

  /** What a copy takes beside the storage is told. */
  @Test
  void copiesAreCounted() {
    Map<Integer, Long> seen = new HashMap<>();
    RandomLevels plan = new RandomLevels(SCALES, LAYERS, HEADS, DIM, 3);
    try (LevelCache cache = open(shape(1, DType.F32), plan)) {
      for (int t = 0; t < SCALES.count(); t++) {
        for (int l = 0; l < LAYERS; l++) {
          attend(cache, new int[] {0}, t, l, DType.F32);
        }
        seen.put(t, cache.memory().workspace());
      }
      assertThat(cache.memory().currentScale()).isEqualTo(2L * HEADS * 14 * 10 * DIM * 4);
    }
    assertThat(seen.get(1)).isPositive();
    assertThat(seen.get(5)).isGreaterThan(seen.get(1));
  }
}
