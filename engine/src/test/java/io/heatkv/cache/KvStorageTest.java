package io.heatkv.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.TestDevice;
import io.heatkv.error.UserException;
import io.heatkv.policy.CachePolicies;
import io.heatkv.policy.HeatKvPolicy;
import io.heatkv.policy.PolicyInputs;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.Budget;
import io.heatkv.schedule.CacheSchedule;
import io.heatkv.schedule.LevelSet;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What tokens are stored as, and the bytes that they take. */
class KvStorageTest {
  private static final Backend BACKEND = TestDevice.backend();
  private static final ScaleGrids SCALES = ScaleGrids.parse("1x1,2x2,3x3,4x4,5x5");
  private static final int TOKENS = 1 + 4 + 9 + 16;
  private static final int LAYERS = 2;
  private static final int HEADS = 2;
  private static final int DIM = 32;
  private static final int ROWS = 2;

  private static KvShape shape(DType dtype) {
    return new KvShape(LAYERS, ROWS, 2, HEADS, DIM, dtype, SCALES);
  }

  /**
   * Multiples of 1/32 up to 127/32, of which each token has one: any storage holds them exactly.
   */
  private static Tensor exact(int scale, int layer, int part) {
    Random random = new Random(100 * scale + 10 * layer + part);
    float[] values = new float[ROWS * HEADS * SCALES.tokens(scale) * DIM];
    for (int i = 0; i < values.length; i++) {
      values[i] = i % DIM == 3 ? 127 / 32f : (random.nextInt(255) - 127) / 32f;
    }
    return Tensor.of(BACKEND, values, ROWS, HEADS, SCALES.tokens(scale), DIM)
        .mul(part == 0 ? 0.02 : 1)
        .to(TestDevice.device());
  }

  private static List<double[]> draw(CachePolicy policy) {
    List<double[]> all = new ArrayList<>();
    try (KvCache cache = policy.plan(shape(DType.F32)).open(BACKEND, TestDevice.device())) {
      for (int t = 0; t < SCALES.count(); t++) {
        for (int l = 0; l < LAYERS; l++) {
          try (Scope _ = Scope.open()) {
            all.add(cache.attend(l, t, exact(t, l, 0), exact(t, l, 1), exact(t, l, 2)).toDoubles());
          }
        }
      }
      assertThat(cache.memory().parts()).isEqualTo(policy.plan(shape(DType.F32)).parts());
    }
    return all;
  }

  private static CachePolicy policy(String name, double budget, KvStorage storage) {
    PolicyInputs inputs =
        new PolicyInputs(
            new Budget.Ratio(budget),
            shape(DType.F32),
            Optional.empty(),
            () -> PolicyCases.profile(shape(DType.F32), 1),
            LevelSet.ALL,
            storage);
    return CachePolicies.create(name, inputs);
  }

  /** The same tokens at the same budget in 16 bits, at 68 bytes instead of 128 in 8. */
  @ParameterizedTest
  @ValueSource(strings = {"heatkv-greedy", "heatkv-paper", "streaming-llm", "snapkv", "h2o"})
  void whatIsRepresentableIsAttendedToAsItCame(String name) {
    List<double[]> expected = draw(policy(name, 0.6, KvStorage.NATIVE));
    List<double[]> halves = draw(policy(name, 0.6, KvStorage.HALF));
    for (int i = 0; i < expected.size(); i++) {
      assertThat(halves.get(i)).as("step %s", i).isEqualTo(expected.get(i));
    }
    if (!name.startsWith("heatkv")) {
      List<double[]> bytes = draw(policy(name, 0.6001 * 68 / 128, KvStorage.INT8));
      for (int i = 0; i < expected.size(); i++) {
        assertThat(bytes.get(i)).as("step %s", i).isEqualTo(expected.get(i));
      }
    }
  }

  /** Halves hold 11 bits of a number, 8 bits a step of a 127th of the largest. */
  @ParameterizedTest
  @CsvSource({"HALF, 0x1p-11", "INT8, 0.005"})
  void numbersAreRounded(KvStorage storage, double bound) {
    float[] x = new float[64];
    Random random = new Random(1);
    for (int i = 0; i < x.length; i++) {
      x[i] = (random.nextFloat() - 0.5f) * 2;
    }
    try (Scope _ = Scope.open()) {
      Tensor all = Tensor.of(BACKEND, x, 2, 32).to(TestDevice.device());
      var ops = BACKEND.ops(TestDevice.device());
      Tensor stored = storage.encode(all, ops);
      assertThat(stored.bytes()).isEqualTo(storage == KvStorage.INT8 ? 2 * 34 : 2 * 64);
      float[] back = storage.decode(stored, DType.F32, ops).toFloats();
      double largest = 0;
      for (int i = 0; i < x.length; i++) {
        largest = Math.max(largest, Math.abs(back[i] - x[i]));
      }
      assertThat(largest).isBetween(1e-5, bound);
    }
  }

  @Test
  void halvesSaturate() {
    try (Scope _ = Scope.open()) {
      Tensor x = Tensor.of(BACKEND, new float[] {1e6f, -1e6f, 2}, 3).to(TestDevice.device());
      var ops = BACKEND.ops(TestDevice.device());
      Tensor stored = KvStorage.HALF.encode(x, ops);
      assertThat(KvStorage.HALF.decode(stored, DType.F32, ops).toFloats())
          .containsExactly(65504, -65504, 2);
    }
  }

  /** 2 bytes a number in any compute type, unless the storage is the compute type. */
  @ParameterizedTest
  @CsvSource({"F32, HALF, 128", "BF16, HALF, 128", "F32, NATIVE, 256", "F16, NATIVE, 128"})
  void aRatioRefersToTheFullCache(DType dtype, KvStorage storage, long tokenBytes) {
    KvShape shape = shape(dtype);
    assertThat(storage.fullBytes(shape)).isEqualTo(ROWS * LAYERS * HEADS * TOKENS * tokenBytes);
    assertThat(storage.bytesPerHeadToken(shape)).isEqualTo(ROWS * tokenBytes);
    long bytes =
        new EvictionPolicy("r", (PositionRule) _ -> new double[0], 0.5, storage)
            .plan(shape)
            .bytes();
    assertThat(bytes).isEqualTo(ROWS * LAYERS * HEADS * TOKENS * tokenBytes / 2);
  }

  @ParameterizedTest
  @CsvSource({"0.1, 12, 22", "0.25, 30, 56", "0.5, 60, 112", "0.9, 108, 120"})
  void moreTokensFitInEightBits(double budget, int tokens, int inBytes) {
    KvShape shape = shape(DType.F32);
    PositionRule rule = _ -> new double[0];
    assertThat(new EvictionPolicy("r", rule, budget, KvStorage.HALF).plan(shape).bytes())
        .isEqualTo(ROWS * tokens * 128);
    assertThat(new EvictionPolicy("r", rule, budget, KvStorage.INT8).plan(shape).bytes())
        .isEqualTo(ROWS * inBytes * 68);
  }

  @ParameterizedTest
  @ValueSource(strings = {"heatkv", "streaming-llm"})
  void allOfItIsTheFullCacheBitForBit(String name) {
    List<double[]> full = draw(CachePolicy.FULL);
    List<double[]> all = draw(policy(name, 1, KvStorage.HALF));
    for (int i = 0; i < full.size(); i++) {
      assertThat(all.get(i)).isEqualTo(full.get(i));
    }
  }

  /**
   * Of 30 tokens in 5 maps: 68 bytes each and what fills granules of 16, and 40 bytes and keys'
   * scales of 128 a map.
   */
  @Test
  void wholeCachesTakeWhatTheirFormatsDo() {
    // Steps of 1, 4, 9 and 16 tokens in granules of 8 numbers, of keys and of values.
    long int8 = TOKENS * 64 + 2 * 16 * (1 + 1 + 2 + 2);
    // Lows and steps of 1, 4, 9 and 16 values in granules of 4 pairs.
    long kivi = TOKENS * 32 + 4 * 128 + 16 * (1 + 1 + 3 + 4);
    long heads = ROWS * LAYERS * HEADS;
    KvPlan first = FormatPolicy.INT8.plan(shape(DType.F32));
    KvPlan second = FormatPolicy.KIVI.plan(shape(DType.F32));
    assertThat(first.bytes()).isEqualTo(heads * int8);
    assertThat(second.bytes()).isEqualTo(heads * kivi);
    // Steps of 2 bytes; lows and steps of all channels of a map, and of each value.
    long numbers = TOKENS * 4;
    assertThat(first.parts().numbers()).isEqualTo(heads * numbers);
    assertThat(first.parts().loss()).isEqualTo(heads * (2 * 16 * 6 - numbers));
    assertThat(second.parts().numbers()).isEqualTo(heads * (4 * 128 + numbers));
    assertThat(second.parts().loss()).isEqualTo(heads * (16 * 9 - numbers));
  }

  @Test
  void eightBitsOfEverythingHoldWhatIsRepresentable() {
    List<double[]> full = draw(CachePolicy.FULL);
    List<double[]> int8 = draw(FormatPolicy.INT8);
    List<double[]> kivi = draw(FormatPolicy.KIVI);
    for (int i = 0; i < full.size(); i++) {
      // Sums of 30 terms of up to 4 in another order.
      assertThat(difference(int8.get(i), full.get(i))).isLessThan(30 * 4 * 0x1p-24);
      // Values of 4 bits: a step of a 15th of the range, and scores that are off by a little.
      assertThat(difference(kivi.get(i), full.get(i))).isLessThan(0.5);
    }
    assertThat(difference(kivi.getLast(), full.getLast())).isGreaterThan(1e-3);
  }

  private static double difference(double[] a, double[] b) {
    double largest = 0;
    for (int i = 0; i < a.length; i++) {
      largest = Math.max(largest, Math.abs(a[i] - b[i]));
    }
    return largest;
  }

  @Test
  void whatDoesntFitIsRefusedInOneLine() {
    assertThatThrownBy(() -> KvStorage.parse("4"))
        .isInstanceOf(UserException.class)
        .hasMessage("KV store '4' is unknown; expected 16, int8, native");
    assertThatThrownBy(() -> policy("heatkv-paper", 0.5, KvStorage.INT8))
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith("policy heatkv-paper stores no tokens in int8;");
    assertThatThrownBy(() -> policy("int8", 0.5, KvStorage.HALF))
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith("policy int8 keeps everything, 55.0% of the full cache;");
    assertThat(policy("int8", 0.55, KvStorage.HALF)).isSameAs(FormatPolicy.INT8);
  }

  /** A schedule of another size than tokens' storage stays what it is. */
  @Test
  void aScheduleCountsTokens() {
    CacheSchedule schedule = policy("heatkv-greedy", 0.5, KvStorage.HALF).schedule().orElseThrow();
    KvShape shape = shape(DType.F32);
    long half = new HeatKvPolicy(schedule, KvStorage.HALF).plan(shape).bytes();
    assertThat(new HeatKvPolicy(schedule, KvStorage.NATIVE).plan(shape).bytes())
        .isEqualTo(2 * half);
  }
}
