package io.heatkv.calibrate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.heatkv.TestDevice;
import io.heatkv.cache.KvShape;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.LevelMoves;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Kernels that measure levels beside the operators that define them, at a published size. */
class LevelMovesTest {
  private static final Backend BACKEND = TestDevice.backend();
  private static final ScaleGrids GRIDS =
      ScaleGrids.parse("1x1,2x2,4x4,6x6,8x8,12x12,16x16,20x20,24x24,32x32,40x40,48x48,64x64");
  private static final int LAYERS = 2;
  private static final int HEADS = 3;
  private static final int DIM = 128;
  private static final int MOST = 32;

  @ParameterizedTest
  @EnumSource(names = {"BF16", "F16"})
  void kernelsAgreeWithOperators(DType dtype) {
    Device device = TestDevice.device();
    assumeTrue(device.isCuda(), "runs with -Dheatkv.device=cuda only");
    long live = BACKEND.liveTensors();
    Random random = new Random(5);
    try (Scope storage = Scope.open()) {
      int sources = GRIDS.count() - 1;
      KvShape shape = new KvShape(LAYERS, 1, 1, HEADS, DIM, dtype, GRIDS);
      SampledQueries queries = new SampledQueries(BACKEND, device, shape, 1, MOST, storage);
      int count = queries.start(sources) + queries.count(sources);
      LevelMoves.Maps maps =
          new LevelMoves.Maps(
              GRIDS.scales().stream().mapToInt(size -> size.height()).toArray(),
              GRIDS.scales().stream().mapToInt(size -> size.width()).toArray(),
              IntStream.range(0, GRIDS.count()).map(queries::start).toArray(),
              Tensor.full(BACKEND, 1, DType.F32, device, count, 1));
      LevelMoves kernels = BACKEND.ops(device).levelMoves(maps, dtype, DIM, storage);
      assertThat(kernels).as("kernels for %s", dtype).isNotNull();
      int last = GRIDS.tokens(sources);
      Tensor[] inputs = {
        values(random, dtype, 0.3, count),
        values(random, dtype, 1, last),
        values(random, dtype, 1, last),
        values(random, dtype, 1, GRIDS.cachedTokens()),
        values(random, dtype, 1, GRIDS.cachedTokens())
      };
      double[] measured = squares(kernels, inputs);
      double[] expected =
          squares(new LevelOperators(BACKEND, device, GRIDS, maps, storage), inputs);
      for (int i = 0; i < expected.length; i++) {
        double tolerance = i % 4 == 0 ? 5e-3 : 2e-2;
        assertThat(measured[i])
            .as("source %s, slot %s", i / 16 / HEADS % sources, i % 16)
            .isCloseTo(expected[i], within(tolerance * expected[i] + 1e-9));
      }
    }
    assertThat(BACKEND.liveTensors()).isEqualTo(live);
  }

  private static double[] squares(LevelMoves moves, Tensor[] inputs) {
    return moves.squares(inputs[0], inputs[1], inputs[2], inputs[3], inputs[4]).toDoubles();
  }

  private static Tensor values(Random random, DType dtype, double spread, int tokens) {
    float[] values = new float[LAYERS * HEADS * tokens * DIM];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (random.nextGaussian() * spread);
    }
    return Tensor.of(BACKEND, values, LAYERS, HEADS, tokens, DIM).to(dtype).to(TestDevice.device());
  }
}
