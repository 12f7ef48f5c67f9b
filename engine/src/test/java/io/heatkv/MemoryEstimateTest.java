package io.heatkv;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.cache.CachePolicy;
import io.heatkv.error.UserException;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.ModelSource;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleSchedule;
import io.heatkv.scale.ScaleSchedules;
import io.heatkv.tensor.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class MemoryEstimateTest {
  private static final ModelDescription MODEL = ModelSource.find(ModelSource.EMBEDDED);

  private static MemoryEstimate estimate(DType dtype, ScaleSchedule schedule) {
    return MemoryEstimate.of(
        MODEL,
        dtype,
        GenerationRequest.of(
            List.of("an apple"),
            Optional.empty(),
            1,
            0,
            schedule,
            SamplingOptions.of(3, 1, 1),
            CachePolicy.FULL));
  }

  @Test
  void weightsFollowFromTheFile() throws IOException {
    MemoryEstimate single = estimate(DType.F32, MODEL.schedule());
    MemoryEstimate half = estimate(DType.BF16, MODEL.schedule());
    // The transformer is stored in bfloat16: its blocks stay mapped, or are widened to twice that.
    long blocks = half.mapped() - single.mapped();
    assertThat(single.weights() - half.weights()).isEqualTo(2 * blocks);
    long stored = Files.size(MODEL.transformerFile());
    assertThat(blocks).isBetween(stored * 9 / 10, stored);
    // The text encoder stays as it is stored.
    long text = Files.size(MODEL.textEncoder().resolve("model.safetensors"));
    assertThat(single.mapped()).isBetween(text * 9 / 10, text);
  }

  @Test
  void cacheIsTheWholeCacheOfBothGuidanceHalves() {
    // 12 layers, 2 rows, keys and values, 320 channels, 1497 tokens before the last scale.
    assertThat(estimate(DType.F32, MODEL.schedule()).cache())
        .isEqualTo(12 * 2 * 2 * 320 * 1497 * 4);
    assertThat(estimate(DType.BF16, MODEL.schedule()).cache())
        .isEqualTo(12 * 2 * 2 * 320 * 1497 * 2);
  }

  /** Resident memory beyond the loaded model, seen while decoding 1024 x 1024: 2.0 GB. */
  @Test
  void activationsCoverWhatWasMeasured() {
    long activations = estimate(DType.F32, ScaleSchedules.parse("1M")).activations() * 4;
    assertThat(activations).isBetween(2_000_000_000L, 3_000_000_000L);
  }

  @Test
  void refusalGivesTheNumbersInOneLine() {
    MemoryEstimate estimate = new MemoryEstimate(3L << 30, 0, 2L << 30, 1L << 30);
    assertThatThrownBy(() -> estimate.requireAtMost(4L << 30))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("6.25 GiB")
        .hasMessageContaining("weights 3.00, KV cache 2.00, activations 1.00")
        .hasMessageContaining("4.00 GiB are free")
        .hasMessageNotContaining("\n");
    assertThatCode(() -> estimate.requireAtMost(7L << 30)).doesNotThrowAnyException();
  }
}
