package io.heatkv.cache;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.TestDevice;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.DeviceOps;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.Random;
import org.junit.jupiter.api.Test;

class FullCacheTest {
  private static final Backend BACKEND = TestDevice.backend();
  private static final ScaleGrids SCALES = ScaleGrids.parse("1x1,2x3,4x4,5x4");
  private static final KvShape SHAPE = new KvShape(2, 2, 1, 3, 8, DType.F32, SCALES);

  private static Tensor tensor(Random random, int tokens) {
    float[] values = new float[2 * 3 * tokens * 8];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return Tensor.of(BACKEND, values, 2, 3, tokens, 8).to(TestDevice.device());
  }

  /** Keys and values that are written to their place beside those that are copied there. */
  @Test
  void whatIsWrittenInPlaceIsStored() {
    Random random = new Random(5);
    try (Scope _ = Scope.open();
        FullCache placed = new FullCache(BACKEND, TestDevice.device(), SHAPE);
        FullCache copied = new FullCache(BACKEND, TestDevice.device(), SHAPE)) {
      for (int scale = 0; scale < SCALES.count(); scale++) {
        for (int layer = 0; layer < 2; layer++) {
          int tokens = SCALES.tokens(scale);
          Tensor q = tensor(random, tokens);
          Tensor k = tensor(random, tokens);
          Tensor v = tensor(random, tokens);
          DeviceOps.Place place = placed.place(layer, scale);
          // The last scale isn't stored.
          assertThat(place == null).isEqualTo(scale == SCALES.count() - 1);
          if (place == null) {
            place = new DeviceOps.Place(k, v);
          } else {
            place.keys().copyFrom(k);
            place.values().copyFrom(v);
          }
          assertThat(placed.attend(layer, scale, q, place.keys(), place.values()).toFloats())
              .containsExactly(copied.attend(layer, scale, q, k, v).toFloats());
          if (scale < SCALES.count() - 1) {
            int start = SCALES.offset(scale);
            assertThat(placed.keys(layer).narrow(2, start, tokens).toFloats())
                .containsExactly(k.toFloats());
          }
        }
      }
      assertThat(placed.values().toFloats()).containsExactly(copied.values().toFloats());
    }
  }
}
