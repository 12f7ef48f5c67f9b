package io.heatkv.infinity.load;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.GenerationRequest;
import io.heatkv.TestDevice;
import io.heatkv.cache.CachePolicy;
import io.heatkv.error.UserException;
import io.heatkv.infinity.Resolution;
import io.heatkv.infinity.ScaleTemplate;
import io.heatkv.load.MemoryEstimate;
import io.heatkv.load.MemoryNeed;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MemoryEstimateTest {
  private static final InfinityDescription MODEL = TestDevice.model();

  private static MemoryEstimate estimate(DType dtype, ScaleGrids grids) {
    return estimate(dtype, request(1, 3, grids));
  }

  private static MemoryEstimate estimate(DType dtype, GenerationRequest request) {
    return MODEL.estimate(request.kvShape(MODEL, dtype), request.policy());
  }

  private static MemoryNeed onDevice(GenerationRequest request) {
    return MODEL.need(request.kvShape(MODEL, DType.BF16), request.policy(), Device.cuda(0));
  }

  private static GenerationRequest request(int images, double cfg, ScaleGrids grids) {
    return GenerationRequest.of(
        List.of("an apple"),
        Optional.empty(),
        images,
        0,
        grids,
        SamplingOptions.of(cfg, 1, 1),
        CachePolicy.FULL);
  }

  @Test
  void weightsFollowFromTheFile() throws IOException {
    MemoryEstimate single = estimate(DType.F32, MODEL.grids());
    MemoryEstimate half = estimate(DType.BF16, MODEL.grids());
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
    assertThat(estimate(DType.F32, MODEL.grids()).cache()).isEqualTo(12 * 2 * 2 * 320 * 1497 * 4);
    assertThat(estimate(DType.BF16, MODEL.grids()).cache()).isEqualTo(12 * 2 * 2 * 320 * 1497 * 2);
  }

  /** Resident memory beyond the loaded model, seen while decoding 1024 x 1024: 0.95 GB. */
  @Test
  void activationsCoverWhatWasMeasured() {
    long activations =
        estimate(DType.F32, ScaleTemplate.nearest(1).grids(Resolution.P1)).activations() * 4;
    assertThat(activations).isBetween(950_000_000L, 1_500_000_000L);
  }

  /**
   * 32 x 32 tokens of 320 channels, 2521 in all. A token of the last scale has four float32 vectors
   * and in the compute type five and two hidden ones of 1280; keys and values are joined besides. A
   * picture is decoded by seven maps of 48 channels of 256 x 256 pixels.
   */
  @ParameterizedTest
  @CsvSource({
    // 7 * 48 * 256 * 256 * 4
    "F32, 3, 1, 88080384",
    // 8 * (1024 * (4 * 320 * 4 + (5 * 320 + 2 * 1280) * 4) + 2 * 2521 * 320 * 4)
    "F32, 3, 4, 229888000",
    "F32, 1, 8, 229888000",
    // 16 * (1024 * (4 * 320 * 4 + (5 * 320 + 2 * 1280) * 2) + 2 * 2521 * 320 * 2)
    "BF16, 3, 8, 271831040",
    "BF16, 1, 8, 135915520"
  })
  void theLargestOfBlocksAndDecoding(DType dtype, double cfg, int images, long expected) {
    assertThat(estimate(dtype, request(images, cfg, MODEL.grids())).activations())
        .isEqualTo(expected);
  }

  /** One layer of the text encoder, converted: four of 256 x 256 and three of 256 x 512. */
  @Test
  void ofSmallPicturesTheTextTakesMost() {
    assertThat(estimate(DType.F32, ScaleGrids.parse("1x1")).activations())
        .isEqualTo(4 * (4 * 256 * 256 + 3 * 256 * 512));
  }

  @Test
  void aDeviceHoldsAllWeights() {
    MemoryEstimate host = estimate(DType.BF16, MODEL.grids());
    MemoryNeed few = onDevice(request(1, 3, MODEL.grids()));
    // Six vectors for each of 1024 tokens; 32 recordings of 12 blocks.
    int recorded = 1024 * 6 * 320 * 4 + 32 * 12 * (40 << 10);
    // Two rows, as below for many; decoding by three maps in bfloat16 takes less.
    assertThat(few)
        .isEqualTo(
            new MemoryNeed(
                host.weights() + host.mapped(),
                host.cache(),
                2 * 1024 * 320 * (4 + 19)
                    + 2 * 12 * 320 * (2 * 64 * 2 + 6 * 4)
                    + 2521 * 2 * 16 * 4
                    + recorded));
    // A hundredth of all, the libraries' 256 MiB with it, and workspaces.
    long hundredth = (few.total() + (256L << 20)) / 100;
    assertThat(few.withGaps(DType.BF16).scratch() - few.scratch())
        .isEqualTo(hundredth + (72L << 20));
    assertThat(few.withGaps(DType.F32).scratch() - few.scratch())
        .isEqualTo(hundredth + (168L << 20));
    MemoryNeed many = onDevice(request(16, 3, MODEL.grids()));
    // 32 rows of 1024 tokens of 320 channels: one in float32, nine and a half in bfloat16; 64
    // tokens of text, twice, and six vectors in each of 12 layers; the rotary table; recordings.
    assertThat(many.scratch())
        .isEqualTo(
            32 * 1024 * 320 * (4 + 19)
                + 32 * 12 * 320 * (2 * 64 * 2 + 6 * 4)
                + 2521 * 2 * 16 * 4
                + recorded);
    MemoryNeed alone = onDevice(request(32, 1, MODEL.grids()));
    assertThat(alone).isEqualTo(many);
  }

  @Test
  void aTokenShowsAsManyPixelsAsTheTokenizersStride() {
    assertThat(MODEL.pixelsPerToken()).isEqualTo(8);
  }

  @Test
  void moreThanAGibibyteIsLarge() {
    // The program takes a quarter of it.
    long rest = 3L << 28;
    assertThat(new MemoryEstimate(rest, 0, 0, 0).isLarge()).isFalse();
    assertThat(new MemoryEstimate(0, 0, rest, 1).isLarge()).isTrue();
    assertThat(new MemoryEstimate(0, rest, 0, 1).isLarge()).isTrue();
    assertThat(new MemoryEstimate(0, rest, 0, 0).isLarge()).isFalse();
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
    assertThatCode(() -> estimate.requireAtMost(25L << 28)).doesNotThrowAnyException();
    assertThatThrownBy(() -> estimate.requireAtMost((25L << 28) - 1))
        .isInstanceOf(UserException.class);
  }
}
