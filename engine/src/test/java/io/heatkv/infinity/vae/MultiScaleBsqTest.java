package io.heatkv.infinity.vae;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.heatkv.TestDevice;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import io.heatkv.weights.Weights;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

/** Quantisation with spatial patchify against the official quantiser. */
class MultiScaleBsqTest {
  private final Backend backend = TestDevice.backend();

  @Test
  void quantizesPatchesAsTheOfficialCodeDoes() {
    try (Checkpoint recorded =
            Checkpoints.open(TestDevice.resource("/golden-extra/recorded.safetensors"));
        Scope _ = Scope.open()) {
      Tensor features =
          Weights.wrap(backend, recorded.entry("quantizer.features"), recorded)
              .to(TestDevice.device());
      MultiScaleBsq.Quantized quantized =
          new MultiScaleBsq(4, true).quantize(features, ScaleGrids.parse("1x1,2x3,3x4,5x6"));
      assertThat(quantized.bits()).hasSize(4);
      for (int scale = 0; scale < 4; scale++) {
        assertThat(quantized.bits().get(scale).toBytes())
            .as("scale " + scale)
            .isEqualTo(
                recorded.entry("quantizer.bits." + scale).bytes().toArray(ValueLayout.JAVA_BYTE));
      }
      assertThat(quantized.sum().toFloats())
          .containsExactly(
              recorded.entry("quantizer.sum").bytes().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED),
              within(1e-6f));
    }
  }
}
