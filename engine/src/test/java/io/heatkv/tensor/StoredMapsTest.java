package io.heatkv.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.TestDevice;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** A device's bytes of maps beside {@link MapCodec}'s, and its attention beside float64. */
class StoredMapsTest {
  private static final Backend BACKEND = TestDevice.backend();
  private static final Device DEVICE = TestDevice.device();
  private static final int ROWS = 3;
  private static final int HEADS = 2;
  private static final int[][] SIZES = {{1, 1}, {3, 2}, {13, 9}, {16, 24}};

  private final List<Integer> free = new ArrayList<>();
  private int granules;

  /** Granules in any order, some of them neighbours. */
  private void arena(int count, long seed) {
    granules = count;
    for (int i = 0; i < count; i++) {
      free.add(i);
    }
    for (int i = 0; i < count / 5; i++) {
      Collections.swap(free, i * 5, new Random(seed + i).nextInt(count / 5) * 5);
    }
  }

  private StoredMap map(
      int head, int[] size, int pool, NumberFormat keys, NumberFormat values, int dim) {
    StoredMap bare = new StoredMap(head, size[0], size[1], pool, keys, values, new int[0]);
    int count = bare.bytes(dim) / (dim / 2);
    int[] runs = new int[2 * count];
    int used = 0;
    for (int i = 0; i < count; i++) {
      int place = free.removeLast();
      if (used > 0 && runs[used - 2] + runs[used - 1] == place) {
        runs[used - 1]++;
      } else {
        runs[used++] = place;
        runs[used++] = 1;
      }
    }
    return new StoredMap(head, size[0], size[1], pool, keys, values, Arrays.copyOf(runs, used));
  }

  private static Tensor tensor(float[] x, DType dtype, long... shape) {
    return Tensor.of(BACKEND, x, shape).to(dtype).to(DEVICE);
  }

  private static float[] random(Random random, int count) {
    float[] x = new float[count];
    for (int i = 0; i < count; i++) {
      x[i] = (float) random.nextGaussian() * (1 + i % 3);
    }
    return x;
  }

  private static float[] entries(float[] all, StoredMap map, int row, int dim, int pool) {
    int count = map.height() * map.width() * dim;
    int from = (row * HEADS + map.head()) * count;
    return MapCodec.pool(
        Arrays.copyOfRange(all, from, from + count), map.height(), map.width(), dim, 1, pool);
  }

  /** Bytes of a map in a row of an arena. */
  private byte[] bytes(byte[] arena, StoredMap map, int row, int dim) {
    byte[] bytes = new byte[map.bytes(dim)];
    int at = 0;
    int granule = dim / 2;
    for (int i = 0; i < map.runs().length; i += 2) {
      int from = (row * granules + map.runs()[i]) * granule;
      System.arraycopy(arena, from, bytes, at, map.runs()[i + 1] * granule);
      at += map.runs()[i + 1] * granule;
    }
    return bytes;
  }

  private static DType half(DType compute) {
    return compute == DType.BF16 ? DType.BF16 : DType.F16;
  }

  /** The step of the second of two layers; even numbers of tokens lie in a projection. */
  private static Tensor attend(Tensor q, Tensor k, Tensor v, Tensor arena, StoredStep.Maps second) {
    StoredStep.Maps first = new StoredStep.Maps(List.of(), List.of(), second.to());
    int dim = Math.toIntExact(q.size(3));
    StoredStep.Tables made = StoredStep.tables(half(q.dtype()), HEADS, dim, List.of(first, second));
    Tensor tables = Tensor.of(BACKEND, made.numbers(), made.numbers().length).to(DEVICE);
    Tensor parts = Ops.stack(2, q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2));
    parts = q.size(2) % 2 == 0 ? parts.permute(2, 0, 3, 1, 4) : Ops.stack(0, q, k, v);
    return BACKEND
        .ops(DEVICE)
        .attendAndStore(
            parts.select(0, 0),
            parts.select(0, 1),
            parts.select(0, 2),
            arena,
            made.steps().getLast(),
            tables,
            1);
  }

  @ParameterizedTest
  @CsvSource({"F32, 8", "F32, 32", "F32, 128", "F16, 32", "F16, 64", "BF16, 16", "BF16, 128"})
  void bytesAreThoseOfTheCodec(DType dtype, int dim) {
    for (int[] size : SIZES) {
      for (NumberFormat values : NumberFormat.values()) {
        for (int pool : new int[] {1, 2, 4, 8}) {
          for (NumberFormat keys : List.of(values, NumberFormat.INT8)) {
            encodes(dtype, dim, size, pool, keys, values);
          }
        }
      }
    }
  }

  /** Maps that more threads than a warp's encode on CUDA, in several turns each. */
  @ParameterizedTest
  @CsvSource({"F32, 16", "BF16, 32"})
  void bytesOfLargeMapsAreThoseOfTheCodec(DType dtype, int dim) {
    for (NumberFormat format : NumberFormat.values()) {
      for (int pool : new int[] {1, 2, 4, 8}) {
        encodes(dtype, dim, new int[] {40, 37}, pool, format, format);
      }
    }
  }

  private void encodes(
      DType dtype, int dim, int[] size, int pool, NumberFormat keys, NumberFormat values) {
    free.clear();
    arena(20 * size[0] * size[1] + 60, 7);
    StoredMap map = map(1, size, pool, keys, values, dim);
    // Coarser, once more, in other bits.
    StoredMap next = map(1, size, 8, NumberFormat.INT8, values, dim);
    int count = ROWS * HEADS * size[0] * size[1] * dim;
    Random random = new Random(11);
    try (Scope _ = Scope.open()) {
      long tokens = (long) size[0] * size[1];
      Tensor k = tensor(random(random, count), dtype, ROWS, HEADS, tokens, dim);
      Tensor v = tensor(random(random, count), dtype, ROWS, HEADS, tokens, dim);
      Tensor arena = Tensor.full(BACKEND, 255, DType.U8, DEVICE, ROWS, granules, dim / 2);
      attend(k, k, v, arena, new StoredStep.Maps(List.of(), List.of(), List.of(map)));
      byte[] stored = arena.toBytes();
      attend(k, k, v, arena, new StoredStep.Maps(List.of(), List.of(map), List.of(next)));
      byte[] moved = arena.toBytes();
      for (int row = 0; row < ROWS; row++) {
        float[] own = entries(k.toFloats(), map, row, dim, pool);
        float[] others = entries(v.toFloats(), map, row, dim, pool);
        byte[] expected = MapCodecTest.encoded(map, own, others, dim, half(dtype));
        // Of what fills the last granule of the scales nothing is said.
        assertThat(decoded(map, bytes(stored, map, row, dim), dim, half(dtype)))
            .as("%s %s %s row %s", map, dtype, dim, row)
            .isEqualTo(decoded(map, expected, dim, half(dtype)));
        float[][] parts = decoded(map, expected, dim, half(dtype));
        byte[] again =
            MapCodecTest.encoded(
                next,
                MapCodec.pool(parts[0], size[0], size[1], dim, pool, 8),
                MapCodec.pool(parts[1], size[0], size[1], dim, pool, 8),
                dim,
                half(dtype));
        assertThat(decoded(next, bytes(moved, next, row, dim), dim, half(dtype)))
            .as("%s to %s %s %s row %s", map, next, dtype, dim, row)
            .isEqualTo(decoded(next, again, dim, half(dtype)));
      }
    }
  }

  private static float[][] decoded(StoredMap map, byte[] bytes, int dim, DType half) {
    float[][] parts = new float[2][map.entries() * dim];
    MapCodec.decode(map, bytes, 0, parts[0], parts[1], dim, half);
    return parts;
  }

  /**
   * Few and many queries: on CUDA they have kernels of their own, which round what they decode to
   * the compute type.
   */
  @ParameterizedTest
  @CsvSource({
    "F32, 8, 70",
    "F32, 16, 70",
    "F32, 32, 6",
    "F32, 32, 129",
    "F32, 64, 600",
    "F32, 128, 1",
    "F32, 128, 65",
    "F16, 32, 6",
    "F16, 128, 600",
    "BF16, 32, 600",
    "BF16, 128, 300",
    "BF16, 128, 600",
    "BF16, 64, 30"
  })
  void attendsToAllHeadsAndLevels(DType dtype, int dim, int queries) {
    arena(60_000, 3);
    List<StoredMap> stored = new ArrayList<>();
    // The first head has all levels, the second nothing.
    for (NumberFormat format : NumberFormat.values()) {
      for (int pool : new int[] {1, 2, 4, 8}) {
        for (int[] size : new int[][] {{13, 9}, {3, 2}}) {
          stored.add(map(0, size, pool, NumberFormat.INT8, format, dim));
        }
      }
    }
    Random random = new Random(5);
    try (Scope _ = Scope.open()) {
      Tensor arena = Tensor.full(BACKEND, 255, DType.U8, DEVICE, ROWS, granules, dim / 2);
      List<List<float[][]>> seen = new ArrayList<>();
      for (int row = 0; row < ROWS; row++) {
        seen.add(new ArrayList<>());
      }
      for (StoredMap map : stored) {
        int tokens = map.height() * map.width();
        Tensor k =
            tensor(random(random, ROWS * HEADS * tokens * dim), dtype, ROWS, HEADS, tokens, dim);
        Tensor v =
            tensor(random(random, ROWS * HEADS * tokens * dim), dtype, ROWS, HEADS, tokens, dim);
        attend(k, k, v, arena, new StoredStep.Maps(List.of(), List.of(), List.of(map)));
        for (int row = 0; row < ROWS; row++) {
          float[] own = entries(k.toFloats(), map, row, dim, map.pool());
          float[] others = entries(v.toFloats(), map, row, dim, map.pool());
          byte[] bytes = MapCodecTest.encoded(map, own, others, dim, half(dtype));
          seen.get(row).add(decoded(map, bytes, dim, half(dtype)));
        }
      }
      int count = ROWS * HEADS * queries * dim;
      float[] small = random(random, count);
      for (int i = 0; i < count; i++) {
        small[i] *= 0.2f / (float) Math.sqrt(dim / 32.0);
      }
      Tensor q = tensor(small, dtype, ROWS, HEADS, queries, dim);
      Tensor k = tensor(random(random, count), dtype, ROWS, HEADS, queries, dim);
      Tensor v = tensor(random(random, count), dtype, ROWS, HEADS, queries, dim);
      // What is attended to is encoded again in the same step, where something else was.
      StoredMap from = stored.getFirst();
      StoredMap to = map(0, new int[] {13, 9}, 4, NumberFormat.INT4, NumberFormat.FLOAT16, dim);
      StoredStep.Maps step = new StoredStep.Maps(stored, List.of(from), List.of(to));
      double[] actual = attend(q, k, v, arena, step).toDoubles();
      List<List<float[][]>> read = new ArrayList<>();
      for (List<float[][]> row : seen) {
        read.add(
            row.stream().map(parts -> DEVICE.isCuda() ? rounded(parts, dtype) : parts).toList());
      }
      Expected expected =
          attention(q.toDoubles(), k.toDoubles(), v.toDoubles(), stored, read, queries, dim);
      assertThat(expected.apart(actual)).isLessThan(expected.bound(dtype, queries));
      byte[] moved = arena.toBytes();
      for (int row = 0; row < ROWS; row++) {
        float[][] parts = seen.get(row).getFirst();
        byte[] again =
            MapCodecTest.encoded(
                to,
                MapCodec.pool(parts[0], 13, 9, dim, from.pool(), 4),
                MapCodec.pool(parts[1], 13, 9, dim, from.pool(), 4),
                dim,
                half(dtype));
        assertThat(decoded(to, bytes(moved, to, row, dim), dim, half(dtype)))
            .isEqualTo(decoded(to, again, dim, half(dtype)));
      }
      if (DEVICE.isCuda()) {
        // So many rows that a device's multiprocessors take several heads and rows each.
        StoredStep.Maps reading = new StoredStep.Maps(stored, List.of(), List.of());
        Tensor many = attend(repeat(q), repeat(k), repeat(v), repeat(arena), reading);
        assertThat(expected.apart(many.toDoubles())).isLessThan(expected.bound(dtype, queries));
      }
    }
  }

  private static Tensor repeat(Tensor rows) {
    return Ops.cat(0, Collections.nCopies(20, rows));
  }

  private static float[][] rounded(float[][] parts, DType dtype) {
    float[][] rounded = new float[parts.length][];
    try (Scope _ = Scope.open()) {
      for (int i = 0; i < parts.length; i++) {
        rounded[i] = Tensor.of(BACKEND, parts[i], parts[i].length).to(dtype).toFloats();
      }
    }
    return rounded;
  }

  /**
   * Attention in float64.
   *
   * @param value the largest
   * @param score the largest, with what counts add
   */
  private record Expected(double[] output, double value, double score) {
    /** How far outputs are off, of these rows once or several times. */
    double apart(double[] actual) {
      double largest = 0;
      for (int i = 0; i < actual.length; i++) {
        largest = Math.max(largest, Math.abs(actual[i] - output[i % output.length]));
      }
      return largest;
    }

    /**
     * How far an output may be off: weights and the output are rounded to the compute type, each by
     * at most the type's unit roundoff, 2^-p of p significant bits; a weight carries the error of
     * its score, a sum in float32. Where many queries attend to their own scale by a kernel of the
     * library's, what that gives is rounded, too.
     */
    double bound(DType dtype, int queries) {
      double unit = Math.scalb(1.0, dtype == DType.BF16 ? -8 : dtype == DType.F16 ? -11 : -24);
      int roundings = DEVICE.isCuda() && queries >= 256 ? 3 : 2;
      return value * (roundings * unit + Math.scalb(score, -23));
    }
  }

  private static Expected attention(
      double[] q,
      double[] k,
      double[] v,
      List<StoredMap> maps,
      List<List<float[][]>> seen,
      int queries,
      int dim) {
    double[] out = new double[q.length];
    double largestValue = 0;
    double largestScore = 0;
    for (double value : v) {
      largestValue = Math.max(largestValue, Math.abs(value));
    }
    for (int sequence = 0; sequence < ROWS * HEADS; sequence++) {
      for (int n = 0; n < queries; n++) {
        int at = (sequence * queries + n) * dim;
        double total = 0;
        for (int m = 0; m < queries; m++) {
          int key = (sequence * queries + m) * dim;
          double score = 0;
          for (int c = 0; c < dim; c++) {
            score += q[at + c] * k[key + c];
          }
          largestScore = Math.max(largestScore, Math.abs(score));
          double weight = Math.exp(score);
          total += weight;
          for (int c = 0; c < dim; c++) {
            out[at + c] += weight * v[key + c];
          }
        }
        for (int i = 0; sequence % HEADS == 0 && i < maps.size(); i++) {
          float[][] parts = seen.get(sequence / HEADS).get(i);
          for (int e = 0; e < maps.get(i).entries(); e++) {
            double score = 0;
            for (int c = 0; c < dim; c++) {
              score += q[at + c] * parts[0][e * dim + c];
            }
            score += Math.log(maps.get(i).tokens(e));
            largestScore = Math.max(largestScore, Math.abs(score));
            double weight = Math.exp(score);
            total += weight;
            for (int c = 0; c < dim; c++) {
              largestValue = Math.max(largestValue, Math.abs(parts[1][e * dim + c]));
              out[at + c] += weight * parts[1][e * dim + c];
            }
          }
        }
        for (int c = 0; c < dim; c++) {
          out[at + c] /= total;
        }
      }
    }
    return new Expected(out, largestValue, largestScore);
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "F16", "BF16"})
  void entriesByThemselvesAreThoseOfTheCodec(DType dtype) {
    for (int dim : new int[] {8, 32, 128}) {
      try (Scope _ = Scope.open()) {
        Tensor x = tensor(random(new Random(1), 2 * 5 * dim), dtype, 2, 5, dim);
        DeviceOps ops = BACKEND.ops(DEVICE);
        Tensor bytes = ops.quantise(x);
        assertThat(bytes.shape()).containsExactly(2, 5, dim + 2);
        assertThat(bytes.toBytes()).isEqualTo(MapCodec.encode(x.toFloats(), dim));
        Tensor back = tensor(MapCodec.decode(bytes.toBytes(), dim), dtype, 2, 5, dim);
        assertThat(ops.dequantise(bytes, dtype).toFloats()).isEqualTo(back.toFloats());
      }
    }
  }
}
