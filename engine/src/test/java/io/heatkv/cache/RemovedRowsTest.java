package io.heatkv.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.TestDevice;
import io.heatkv.calibrate.ExhaustedBackend;
import io.heatkv.error.UserException;
import io.heatkv.policy.CachePolicies;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Pictures that leave a cache between scales, beside caches that have only one picture. */
class RemovedRowsTest {
  private static final Backend BACKEND = TestDevice.backend();
  private static final ScaleGrids SCALES = ScaleGrids.parse("1x1,2x2,3x3,4x4,4x6,6x6");
  private static final int LAYERS = 2;
  private static final int HEADS = 3;
  private static final int DIM = 8;
  // Other compositions of a batch may take other kernels.
  private static final double TOLERANCE = TestDevice.device().isCuda() ? 1e-5 : 0;

  /** Looks at attention after some scales only. */
  private static final class Sometimes implements AttentionRule {
    @Override
    public int[] window(ScaleSize map) {
      return map.width() % 2 == 0 ? new int[] {0, 1} : new int[0];
    }

    @Override
    public boolean accumulates() {
      return true;
    }

    @Override
    public Tensor scores(ObservedCandidates candidates) {
      return candidates.accumulated();
    }
  }

  static Stream<String> names() {
    return Stream.concat(CachePolicies.names().stream(), Stream.of("sometimes"));
  }

  private static CachePolicy policy(String name) {
    return name.equals("sometimes")
        ? new EvictionPolicy(name, new Sometimes(), 0.5, KvStorage.NATIVE)
        : CachePolicies.create(
            name,
            PolicyCases.inputs(shape(1, 2), CachePolicies.whole(name).isPresent() ? 1 : 0.5, 3));
  }

  private static KvShape shape(int pictures, int pictureRows) {
    return new KvShape(LAYERS, pictures * pictureRows, pictureRows, HEADS, DIM, DType.F32, SCALES);
  }

  /** What pictures see: queries, keys and values are drawn from the picture's number alone. */
  private static final class Drawing implements AutoCloseable {
    private final int pictureRows;
    private final KvCache cache;
    private final List<Integer> pictures;

    Drawing(CachePolicy policy, int pictureRows, List<Integer> pictures) {
      this.pictureRows = pictureRows;
      this.pictures = new ArrayList<>(pictures);
      cache = policy.plan(shape(pictures.size(), pictureRows)).open(BACKEND, TestDevice.device());
    }

    /** Draws a scale: what each picture's rows get, layer after layer. */
    Map<Integer, List<double[]>> draw(int scale) {
      Map<Integer, List<double[]>> results = new HashMap<>();
      for (int l = 0; l < LAYERS; l++) {
        try (Scope _ = Scope.open()) {
          double[] all =
              cache
                  .attend(l, scale, input(scale, l, 0), input(scale, l, 1), input(scale, l, 2))
                  .toDoubles();
          int each = all.length / pictures.size();
          for (int i = 0; i < pictures.size(); i++) {
            results
                .computeIfAbsent(pictures.get(i), _ -> new ArrayList<>())
                .add(Arrays.copyOfRange(all, i * each, (i + 1) * each));
          }
        }
      }
      return results;
    }

    private Tensor input(int scale, int layer, int part) {
      int count = pictureRows * HEADS * SCALES.tokens(scale) * DIM;
      float[] all = new float[pictures.size() * count];
      for (int i = 0; i < pictures.size(); i++) {
        Random random = new Random(((pictures.get(i) * 31L + scale) * 31 + layer) * 31 + part);
        System.arraycopy(PolicyCases.gaussian(random, count), 0, all, i * count, count);
      }
      return PolicyCases.tensor(all, shape(pictures.size(), pictureRows), SCALES.tokens(scale));
    }

    void remove(int first, int count) {
      cache.removeRows(first * pictureRows, count * pictureRows);
      // The last pictures take the removed ones' places, in their order.
      List<Integer> behind = new ArrayList<>(pictures.subList(first + count, pictures.size()));
      List<Integer> moved = behind.subList(Math.max(0, behind.size() - count), behind.size());
      List<Integer> left = new ArrayList<>(pictures.subList(0, first));
      left.addAll(moved);
      left.addAll(behind.subList(0, behind.size() - moved.size()));
      pictures.clear();
      pictures.addAll(left);
    }

    @Override
    public void close() {
      cache.close();
    }
  }

  /** What each picture's rows get when it is drawn alone [picture][scale]. */
  private static List<List<List<double[]>>> alone(CachePolicy policy, int pictureRows, int count) {
    List<List<List<double[]>>> all = new ArrayList<>();
    for (int picture = 0; picture < count; picture++) {
      try (Drawing drawing = new Drawing(policy, pictureRows, List.of(picture))) {
        List<List<double[]>> scales = new ArrayList<>();
        for (int t = 0; t < SCALES.count(); t++) {
          scales.add(drawing.draw(t).get(picture));
        }
        all.add(scales);
      }
    }
    return all;
  }

  private static void check(
      String at, int scale, Drawing drawing, List<List<List<double[]>>> alone) {
    Map<Integer, List<double[]>> drawn = drawing.draw(scale);
    assertThat(drawn).hasSameSizeAs(drawing.pictures);
    drawn.forEach((picture, layers) -> {
      for (int l = 0; l < LAYERS; l++) {
        assertThat(difference(layers.get(l), alone.get(picture).get(scale).get(l)))
            .as("%s, scale %d, layer %d, picture %d", at, scale, l, picture)
            .isLessThanOrEqualTo(TOLERANCE);
      }
    });
  }

  /** The largest one; NaN stays. */
  private static double difference(double[] actual, double[] expected) {
    assertThat(actual).hasSameSizeAs(expected);
    double most = 0;
    for (int i = 0; i < actual.length; i++) {
      most = Math.max(most, Math.abs(actual[i] - expected[i]));
    }
    return most;
  }

  @ParameterizedTest
  @MethodSource("names")
  void whoStaysNoticesNothing(String name) {
    long live = BACKEND.liveTensors();
    int[][] removals = {{0, 1}, {1, 1}, {2, 1}, {0, 2}, {1, 2}};
    CachePolicy policy = policy(name);
    List<List<List<List<double[]>>>> alone = List.of(alone(policy, 1, 3), alone(policy, 2, 3));
    for (int after = 0; after < SCALES.count() - 1; after++) {
      for (int i = 0; i < removals.length; i++) {
        int pictureRows = 1 + (after + i) % 2;
        String at =
            "%d rows a picture, %s after scale %d"
                .formatted(pictureRows, Arrays.toString(removals[i]), after);
        try (Drawing drawing = new Drawing(policy, pictureRows, List.of(0, 1, 2))) {
          long bytes = drawing.cache.memory().storage();
          for (int t = 0; t < SCALES.count(); t++) {
            check(at, t, drawing, alone.get(pictureRows - 1));
            if (t == after) {
              drawing.remove(removals[i][0], removals[i][1]);
            }
          }
          assertThat(drawing.cache.memory().storage()).isEqualTo(bytes);
        }
      }
    }
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
  }

  /** Pictures leave by chance until one is left. */
  @ParameterizedTest
  @MethodSource("names")
  void downToOnePicture(String name) {
    long live = BACKEND.liveTensors();
    CachePolicy policy = policy(name);
    List<List<List<double[]>>> alone = alone(policy, 2, 7);
    for (long seed = 1; seed <= 3; seed++) {
      Random random = new Random(seed);
      try (Drawing drawing = new Drawing(policy, 2, IntStream.range(0, 7).boxed().toList())) {
        for (int t = 0; t < SCALES.count(); t++) {
          check("seed " + seed, t, drawing, alone);
          int left = drawing.pictures.size();
          if (left > 1) {
            int count = t == SCALES.count() - 2 ? left - 1 : 1 + random.nextInt(left - 1) / 2;
            drawing.remove(random.nextInt(left - count + 1), count);
          }
        }
        assertThat(drawing.pictures).hasSize(1);
      }
    }
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
  }

  @ParameterizedTest
  @CsvSource({"-2, 2", "0, 0", "0, 6", "4, 4", "1, 2", "2, 1", "6, 2"})
  void onlyWholePicturesLeaveAndOneStays(int first, int count) {
    for (String name : List.of("full", "heatkv", "snapkv")) {
      CachePolicy policy = policy(name);
      List<List<List<double[]>>> alone = alone(policy, 2, 3);
      try (Drawing drawing = new Drawing(policy, 2, List.of(0, 1, 2))) {
        for (int t = 0; t < SCALES.count(); t++) {
          check(name, t, drawing, alone);
          assertThatThrownBy(() -> drawing.cache.removeRows(first, count))
              .isInstanceOf(IllegalArgumentException.class)
              .hasMessageContaining("6 rows");
        }
      }
    }
  }

  @Test
  void anErrorAfterwardsLeavesNothingBehind() {
    long live = BACKEND.liveTensors();
    CachePolicy policy =
        new EvictionPolicy("failing", PolicyCases.failing(3), 0.5, KvStorage.NATIVE);
    assertThatThrownBy(
            () -> {
              try (Drawing drawing = new Drawing(policy, 2, List.of(0, 1, 2))) {
                for (int t = 0; t < SCALES.count(); t++) {
                  drawing.draw(t);
                  if (t == 1) {
                    drawing.remove(0, 1);
                  }
                }
              }
            })
        .hasMessage("no scores");
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
  }

  /** Memory may run out at any tensor that opening makes; what was there before is freed. */
  @ParameterizedTest
  @MethodSource("names")
  void aCacheThatCannotBeOpenedKeepsNothing(String name) {
    long live = BACKEND.liveTensors();
    KvPlan plan = policy(name).plan(shape(2, 2));
    int tensors = 0;
    for (boolean made = false; !made; tensors++) {
      Backend exhausted = new ExhaustedBackend(BACKEND, tensors).backend();
      try (KvCache cache = plan.open(exhausted, TestDevice.device())) {
        made = true;
        assertThat(cache.memory().storage()).isEqualTo(plan.bytes());
      } catch (UserException e) {
        assertThat(BACKEND.liveTensors()).as("after %s tensors", tensors).isEqualTo(live);
      }
    }
    assertThat(tensors).isGreaterThan(1);
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
  }
}
