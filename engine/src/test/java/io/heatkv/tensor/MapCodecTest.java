package io.heatkv.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.Random;
import java.util.function.IntToDoubleFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Blocks of maps and bytes of numbers, worked out by hand. */
class MapCodecTest {
  private static StoredMap map(
      int height, int width, int pool, NumberFormat keys, NumberFormat values) {
    return new StoredMap(0, height, width, pool, keys, values, new int[0]);
  }

  private static StoredMap map(int height, int width, NumberFormat format) {
    return map(height, width, 1, format, format);
  }

  private static float[] random(Random random, int count, double size) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) (size * random.nextGaussian());
    }
    return values;
  }

  /** Bytes of a map. */
  static byte[] encoded(StoredMap map, float[] keys, float[] values, int dim, DType half) {
    byte[] bytes = new byte[map.bytes(dim)];
    // What an array held before is gone.
    Arrays.fill(bytes, (byte) -1);
    MapCodec.encode(map, keys, values, dim, half, bytes);
    return bytes;
  }

  private static float[][] stored(
      StoredMap map, float[] keys, float[] values, int dim, DType half) {
    float[][] parts = new float[2][keys.length];
    byte[] bytes = encoded(map, keys, values, dim, half);
    MapCodec.decode(map, bytes, 0, parts[0], parts[1], dim, half);
    return parts;
  }

  private static float[] stored(NumberFormat format, float[] x, int dim) {
    return stored(map(x.length / dim, 1, format), x, x, dim, DType.F16)[0];
  }

  @Test
  void blocksAtTheEdgesAreSmaller() {
    // Channels: the token's row, its column.
    float[] x = new float[13 * 9 * 2];
    for (int i = 0; i < 13 * 9; i++) {
      x[2 * i] = i / 9;
      x[2 * i + 1] = i % 9;
    }
    StoredMap map = map(13, 9, 8, NumberFormat.FLOAT16, NumberFormat.FLOAT16);
    assertThat(map.entries()).isEqualTo(4);
    assertThat(new int[] {map.tokens(0), map.tokens(1), map.tokens(2), map.tokens(3)})
        .containsExactly(64, 8, 40, 5);
    assertThat(MapCodec.pool(x, 13, 9, 2, 1, 8))
        .containsExactly(3.5f, 3.5f, 3.5f, 8, 10, 3.5f, 10, 8);
  }

  @ParameterizedTest
  @CsvSource({"1, 1, 1", "2, 3, 6", "5, 1, 5", "8, 8, 64"})
  void aMapNoLargerThanABlockIsOneEntry(int height, int width, int tokens) {
    StoredMap map = map(height, width, 8, NumberFormat.INT8, NumberFormat.INT4);
    assertThat(map.entries()).isEqualTo(1);
    assertThat(map.tokens(0)).isEqualTo(tokens);
    float[] x = new float[tokens];
    for (int i = 0; i < tokens; i++) {
      x[i] = i;
    }
    assertThat(MapCodec.pool(x, height, width, 1, 1, 8)).containsExactly((tokens - 1) / 2f);
  }

  @ParameterizedTest
  @CsvSource({"2, 4", "2, 8", "4, 8"})
  void poolingInTwoStepsIsPoolingInOne(int first, int then) {
    Random random = new Random(5);
    for (int i = 0; i < 200; i++) {
      int height = 1 + random.nextInt(20);
      int width = 1 + random.nextInt(20);
      float[] x = random(random, height * width * 4, 1);
      float[] once = MapCodec.pool(x, height, width, 4, 1, then);
      float[] halfway = MapCodec.pool(x, height, width, 4, 1, first);
      float[] twice = MapCodec.pool(halfway, height, width, 4, first, then);
      assertThat(twice).as("%sx%s", height, width).containsExactly(once, within(1e-6f));
    }
  }

  @Test
  void nothingIsPooledTwice() {
    float[] x = {1, 2};
    assertThat(MapCodec.pool(x, 4, 4, 2, 8, 8)).isSameAs(x);
  }

  @Test
  void twoNumbersOfFourBitsShareAByte() {
    // Steps of 1 in each channel, from 0, -5, 100 and 0 on.
    float[] x = {0, -5, 100, 0, 15, 10, 115, 15, 3, 2, 104, 9};
    StoredMap map = map(3, 1, NumberFormat.INT4);
    byte[] bytes = encoded(map, x, x, 4, DType.F16);
    // An entry: two bytes of the key, two of the value.
    byte[] entries = {0, 0, 0, 0, -1, -1, -1, -1, 0x73, (byte) 0x94, 0x73, (byte) 0x94};
    assertThat(Arrays.copyOf(bytes, 12)).containsExactly(entries);
    // Lows 0, -5, 100, 0 and steps 1 in half precision, low byte first.
    byte[] scales = {0, 0, 0, (byte) 0xc5, 0x40, 0x56, 0, 0, 0, 0x3c, 0, 0x3c, 0, 0x3c, 0, 0x3c};
    assertThat(Arrays.copyOfRange(bytes, 12, 28)).containsExactly(scales);
    assertThat(Arrays.copyOfRange(bytes, 28, 44)).containsExactly(scales);
    assertThat(stored(NumberFormat.INT4, x, 4)).containsExactly(x);
  }

  @Test
  void anEntryOfEightBitsHasAStepOfItsOwn() {
    float[] x = {127, -127, 3, 0, 63.5f, 0.5f, -0.25f, -1};
    StoredMap map = map(2, 1, NumberFormat.INT8);
    byte[] bytes = encoded(map, x, x, 4, DType.F16);
    byte[] both = {127, -127, 3, 0, 127, -127, 3, 0, 127, 1, 0, -2, 127, 1, 0, -2};
    assertThat(Arrays.copyOf(bytes, 16)).containsExactly(both);
    // Steps 1 and 0.5, of the keys and of the values.
    assertThat(Arrays.copyOfRange(bytes, 16, 24))
        .containsExactly(0, 0x3c, 0, 0x38, 0, 0x3c, 0, 0x38);
  }

  @Test
  void keysAndValuesHaveFormatsOfTheirOwn() {
    Random random = new Random(3);
    float[] keys = random(random, 35 * 32, 1);
    float[] values = random(random, 35 * 32, 3);
    StoredMap both = map(5, 7, 1, NumberFormat.INT8, NumberFormat.INT4);
    float[][] parts = stored(both, keys, values, 32, DType.F16);
    assertThat(parts[0]).containsExactly(stored(NumberFormat.INT8, keys, 32));
    assertThat(parts[1]).containsExactly(stored(NumberFormat.INT4, values, 32));
    assertThat(both.bytes(32)).isEqualTo(35 * (32 + 16) + 5 * 16 + 128);
  }

  /** Half a unit in the last place, and half the smallest number below the normal ones. */
  @ParameterizedTest
  @CsvSource({"F16, 0x1p-11, 0x1p-25", "BF16, 0x1p-8, 0"})
  void halvesAreNearest(DType half, double relative, double absolute) {
    for (double size : new double[] {1e-6, 1e-3, 1, 1000}) {
      float[] x = random(new Random(1), 640, size);
      float[] stored = stored(map(20, 1, NumberFormat.FLOAT16), x, x, 32, half)[1];
      for (int i = 0; i < x.length; i++) {
        double bound = relative * Math.abs(x[i]) + absolute;
        assertThat((double) stored[i]).as("%s", x[i]).isCloseTo(x[i], within(bound));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {1e-7, 1e-4, 1, 30, 10000})
  void eightBitsErrByHalfAStep(double size) {
    float[] x = random(new Random(2), 64 * 32, size);
    float[] stored = stored(NumberFormat.INT8, x, 32);
    for (int e = 0; e < 64; e++) {
      int at = e * 32;
      double largest = largest(32, i -> Math.abs(x[at + i]));
      for (int i = at; i < at + 32; i++) {
        assertThat((double) stored[i]).isCloseTo(x[i], within(halfStep(largest / 127)));
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"1e-7, 0", "1e-4, 0", "1, 0", "1, 50", "30, -1000", "3000, 0", "0, 0.1", "0, -0.1"})
  void fourBitsErrByHalfAStep(double size, float mean) {
    float[] x = random(new Random(2), 64 * 32, size);
    for (int i = 0; i < x.length; i++) {
      x[i] += mean;
    }
    float[] stored = stored(NumberFormat.INT4, x, 32);
    for (int channel = 0; channel < 32; channel++) {
      int at = channel;
      double most = largest(64, e -> x[e * 32 + at]);
      double least = -largest(64, e -> -x[e * 32 + at]);
      // The low is rounded down to half precision.
      double range = most - least + Math.abs(least) * 0x1p-10 + 0x1p-24;
      for (int i = at; i < x.length; i += 32) {
        assertThat((double) stored[i]).isCloseTo(x[i], within(halfStep(range / 15)));
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"1e-4, 0", "1, 0", "1, 50", "30, -1000"})
  void fourBitsOfAnEntryErrByHalfAStep(double size, float mean) {
    float[] x = random(new Random(2), 64 * 32, size);
    for (int i = 0; i < x.length; i++) {
      x[i] += mean;
    }
    float[] stored = stored(NumberFormat.INT4_ENTRY, x, 32);
    for (int e = 0; e < 64; e++) {
      int at = e * 32;
      double most = largest(32, i -> x[at + i]);
      double least = -largest(32, i -> -x[at + i]);
      double range = most - least + Math.abs(least) * 0x1p-10 + 0x1p-24;
      for (int i = at; i < at + 32; i++) {
        assertThat((double) stored[i]).isCloseTo(x[i], within(halfStep(range / 15)));
      }
    }
  }

  /** Half of a step that was rounded up to half precision, and the rounding of float32. */
  private static double halfStep(double step) {
    return (step * (1 + 0x1p-10) + 0x1p-24) / 2 * 1.0001;
  }

  private static double largest(int count, IntToDoubleFunction values) {
    double largest = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < count; i++) {
      largest = Math.max(largest, values.applyAsDouble(i));
    }
    return largest;
  }

  @ParameterizedTest
  @EnumSource
  void whatIsTooLargeStaysFinite(NumberFormat format) {
    float[] x = {1e30f, -1e30f, 1, 0, 3e38f, -3e38f, Float.MIN_VALUE, -Float.MIN_VALUE};
    for (float value : stored(format, x, 4)) {
      assertThat(value).isFinite();
    }
  }

  @Test
  void eightBitsOfWhatIsNoNumberAreZero() {
    float[] x = {Float.NaN, 127, -64, 1, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, 1, 0};
    float most = 127 * 65504f;
    assertThat(stored(NumberFormat.INT8, x, 4)).containsExactly(0, 127, -64, 1, most, -most, 0, 0);
  }

  /** As nearest integers to the quotient, ties to even. */
  @Test
  void eightBitsAreNearestUpToTheLargestStep() {
    Random random = new Random(5);
    for (float largest : new float[] {0.1f, 1, 127 * 65504f, Math.nextUp(127 * 65504f)}) {
      float[] x = random(random, 32, largest / 8);
      x[0] = largest;
      double step = stored(NumberFormat.INT8, x, 32)[0] / 127.0;
      float[] stored = stored(NumberFormat.INT8, x, 32);
      for (int i = 0; i < 32; i++) {
        double quotient = Math.max(-127, Math.min(127, Math.rint(x[i] / (float) step)));
        assertThat((double) stored[i]).isEqualTo((double) (float) (quotient * step));
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void zerosStayZero(NumberFormat format) {
    assertThat(stored(format, new float[64], 32)).containsOnly(0);
  }
}
