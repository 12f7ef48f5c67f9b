package io.heatkv.tensor;

import io.heatkv.TestDevice;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Attention to stored maps beside float64 operators, on random shapes: 1 to 5000 queries, heads of
 * 16 to 128 channels with maps of all levels or none.
 */
class StoredAttentionTest {
  private static final Backend BACKEND = TestDevice.backend();
  private static final Device DEVICE = TestDevice.device();
  private static final int[] DIMS = {16, 32, 64, 128};
  private static final int[] POOLS = {1, 2, 4, 8};
  private static final int LONGEST_SIDE = 48;
  // Where kernels change and their tiles end, and the longest.
  private static final int[] EDGES = {1, 16, 17, 63, 64, 65, 128, 129, 511, 512, 513, 4096, 5000};

  private final SoftAssertions all = new SoftAssertions();

  @ParameterizedTest
  @EnumSource(names = {"F32", "F16", "BF16"})
  void randomShapesAgreeWithFloat64(DType dtype) {
    for (int seed = 0; seed < (DEVICE.isCuda() ? 48 : 8); seed++) {
      try (Scope _ = Scope.open()) {
        check(dtype, seed);
      }
    }
    all.assertAll();
  }

  /** ‖out − ref‖/‖ref‖ of a row's head, as of attention that isn't stored. */
  private static double bound(DType dtype) {
    return switch (dtype) {
      case BF16 -> 1e-2;
      case F16 -> 2e-3;
      default -> 1e-5;
    };
  }

  private void check(DType dtype, int seed) {
    Random random = new Random(seed);
    int dim = DIMS[seed % DIMS.length];
    int rows = 1 + random.nextInt(3);
    int heads = 1 + random.nextInt(6);
    int queries = queries(random);
    List<StoredMap> maps = maps(random, heads, dim);
    int granules = maps.stream().mapToInt(map -> map.bytes(dim) / (dim / 2)).sum();
    DType half = dtype == DType.BF16 ? DType.BF16 : DType.F16;
    Tensor bytes = Tensor.full(BACKEND, 255, DType.U8, Device.CPU, rows, granules + 1, dim / 2);
    // Of each row and map: keys and values.
    List<List<float[][]>> stored = new ArrayList<>();
    for (int row = 0; row < rows; row++) {
      stored.add(new ArrayList<>());
      for (StoredMap map : maps) {
        float[][] parts = {
          random(random, map.entries() * dim), random(random, map.entries() * dim)
        };
        byte[] encoded = MapCodecTest.encoded(map, parts[0], parts[1], dim, half);
        MapCodec.decode(map, encoded, 0, parts[0], parts[1], dim, half);
        stored.getLast().add(parts);
        long at = ((long) row * (granules + 1) + map.runs()[0]) * (dim / 2);
        MemorySegment.copy(encoded, 0, bytes.memory(), ValueLayout.JAVA_BYTE, at, encoded.length);
      }
    }
    // Every other time as they lie in a projection.
    Tensor current =
        seed / DIMS.length % 2 == 0
            ? values(random, dtype, 3, rows, heads, queries, dim)
            : values(random, dtype, rows, queries, 3, heads, dim).permute(2, 0, 3, 1, 4);
    Tensor q = current.select(0, 0);
    Tensor k = current.select(0, 1);
    Tensor v = current.select(0, 2);
    // Scores of a few units, and larger ones where they may be exact.
    double scale = (dtype == DType.F32 && seed % 3 == 0 ? 4 : 1) / Math.sqrt(dim);
    StoredStep.Maps step = new StoredStep.Maps(maps, List.of(), List.of());
    StoredStep.Tables made = StoredStep.tables(half, heads, dim, List.of(step));
    Tensor tables = Tensor.of(BACKEND, made.numbers(), made.numbers().length).to(DEVICE);
    Tensor out =
        BACKEND
            .ops(DEVICE)
            .attendAndStore(q, k, v, bytes.to(DEVICE), made.steps().getFirst(), tables, scale);
    for (int row = 0; row < rows; row++) {
      for (int head = 0; head < heads; head++) {
        try (Scope _ = Scope.open()) {
          Tensor exact =
              attention(
                  wide(q, row, head).mul(scale),
                  wide(k, row, head),
                  wide(v, row, head),
                  maps,
                  stored.get(row),
                  head);
          Tensor difference = wide(out, row, head).sub(exact);
          all.assertThat(Math.sqrt(squares(difference) / squares(exact)))
              .as("%s of %s queries, seed %s, head %s of %s", dtype, queries, seed, head, maps)
              .isLessThanOrEqualTo(bound(dtype));
        }
      }
    }
  }

  private static int queries(Random random) {
    int most = DEVICE.isCuda() ? EDGES[EDGES.length - 1] : 130;
    int queries =
        random.nextBoolean()
            ? EDGES[random.nextInt(EDGES.length)]
            : (int) Math.exp(random.nextDouble() * Math.log(most));
    return Math.min(queries, most);
  }

  /** Ordered by head, one after another in the arena; a quarter of the heads has none. */
  private static List<StoredMap> maps(Random random, int heads, int dim) {
    List<StoredMap> maps = new ArrayList<>();
    int granule = 1;
    for (int head = 0; head < heads; head++) {
      for (int count = random.nextInt(4); count > 0; count--) {
        int height = (int) Math.exp(random.nextDouble() * Math.log(LONGEST_SIDE));
        int width = (int) Math.exp(random.nextDouble() * Math.log(LONGEST_SIDE));
        int pool = POOLS[random.nextInt(POOLS.length)];
        NumberFormat[] formats = NumberFormat.values();
        NumberFormat keys = formats[random.nextInt(formats.length)];
        NumberFormat values = formats[random.nextInt(formats.length)];
        int[] none = {};
        int length =
            new StoredMap(head, height, width, pool, keys, values, none).bytes(dim) / (dim / 2);
        int[] runs = {granule, length};
        maps.add(new StoredMap(head, height, width, pool, keys, values, runs));
        granule += length;
      }
    }
    return maps;
  }

  private static float[] random(Random random, int count) {
    float[] x = new float[count];
    for (int i = 0; i < count; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return x;
  }

  private static Tensor values(Random random, DType dtype, long... shape) {
    float[] x =
        random(random, Math.toIntExact(LongStream.of(shape).reduce(1, Math::multiplyExact)));
    return Tensor.of(BACKEND, x, shape).to(dtype).to(DEVICE);
  }

  private static Tensor wide(Tensor x, int row, int head) {
    return x.select(0, row).select(0, head).to(DType.F64);
  }

  private static double squares(Tensor x) {
    return Ops.sum(x.mul(x), false, 0, 1).toDoubles()[0];
  }

  /** In float64, of a head's queries [n, dim]. */
  private static Tensor attention(
      Tensor q, Tensor k, Tensor v, List<StoredMap> maps, List<float[][]> stored, int head) {
    List<Tensor> keys = new ArrayList<>(List.of(k));
    List<Tensor> values = new ArrayList<>(List.of(v));
    List<Tensor> logs =
        new ArrayList<>(List.of(Tensor.full(BACKEND, 0, DType.F64, DEVICE, k.size(0))));
    for (int i = 0; i < maps.size(); i++) {
      StoredMap map = maps.get(i);
      if (map.head() == head) {
        int count = map.entries();
        keys.add(wide(stored.get(i)[0], count, q.size(1)));
        values.add(wide(stored.get(i)[1], count, q.size(1)));
        logs.add(logs(IntStream.range(0, count).map(map::tokens).toArray()));
      }
    }
    Tensor scores = Ops.matmul(q, Ops.cat(0, keys).transpose(0, 1)).add(Ops.cat(0, logs));
    return Ops.matmul(Ops.softmax(scores), Ops.cat(0, values));
  }

  /** Logarithms in float64, each the sum of two in float32. */
  private static Tensor logs(int[] tokens) {
    float[] high = new float[tokens.length];
    float[] low = new float[tokens.length];
    for (int i = 0; i < tokens.length; i++) {
      double log = Math.log(tokens[i]);
      high[i] = (float) log;
      low[i] = (float) (log - high[i]);
    }
    return wide(high, tokens.length).add(wide(low, tokens.length));
  }

  private static Tensor wide(float[] x, long... shape) {
    return Tensor.of(BACKEND, x, shape).to(DType.F64).to(DEVICE);
  }
}
