package io.heatkv.infinity.load;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.Generation;
import io.heatkv.GenerationRequest;
import io.heatkv.GenerationResult;
import io.heatkv.TestDevice;
import io.heatkv.cache.CachePolicy;
import io.heatkv.family.NextScaleModel;
import io.heatkv.family.PictureRequest;
import io.heatkv.infinity.RotaryNormalization;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RandomInfinityTest {
  private static final ScaleGrids SCALES = ScaleGrids.parse("1x1,2x2");

  private final Backend backend = TestDevice.backend();

  /** Tokens of 16 pixels, or of 2 x 2 positions of 8. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void drawsAndDecodesAndLeavesNothing(boolean patchify) {
    long before = backend.liveTensors();
    TransformerConfig config =
        new TransformerConfig(
            2, 64, 2, 256, 16, 128, 16, 2, true, RotaryNormalization.ROUNDED, true, patchify);
    RandomInfinity sizes = new RandomInfinity("small", config, SCALES, 3, 3, 1, 0.97);
    GenerationRequest request =
        new GenerationRequest(
            List.of(new PictureRequest(sizes.example(), 1, sizes.sampling())),
            SCALES,
            CachePolicy.FULL);
    try (NextScaleModel model = sizes.load(backend, TestDevice.device(), DType.F32);
        Generation generation = Generation.open(model, request)) {
      GenerationResult result = generation.finish();
      assertThat(result.images().getFirst().pixels().width()).isEqualTo(32);
      // Keys and values, 2 layers, 2 rows, 1 token, 64 channels, 4 bytes.
      assertThat(result.kv().storage()).isEqualTo(2 * 2 * 2 * 64 * 4);
      assertThat(request.kvShape(sizes, DType.F32).fullBytes()).isEqualTo(result.fullKvBytes());
    }
    assertThat(backend.liveTensors()).isEqualTo(before);
  }
}
