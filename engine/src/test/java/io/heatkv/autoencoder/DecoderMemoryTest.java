package io.heatkv.autoencoder;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import java.util.List;
import org.junit.jupiter.api.Test;

class DecoderMemoryTest {
  private static final Device GPU = Device.cuda(0);
  private static final long PIXELS = 1 << 20;

  private static long bytes(Device device, DType dtype, Integer... multipliers) {
    return DecoderMemory.bytes(128, List.of(multipliers), PIXELS, device, dtype);
  }

  /**
   * Of the published tokenizers: the first block of the finest level reads a map of two units,
   * norms it to another and convolves that to one.
   */
  @Test
  void theFirstBlockOfTheFinestLevelTakesFiveUnits() {
    assertThat(bytes(GPU, DType.BF16, 1, 2, 4, 4, 4)).isEqualTo(5 * PIXELS * 128 * 2);
    assertThat(bytes(GPU, DType.F32, 1, 2, 4, 4)).isEqualTo(5 * PIXELS * 128 * 4);
  }

  /** Where no level is wider: input, normed input and what that is convolved to. */
  @Test
  void alikeLevelsTakeThree() {
    assertThat(bytes(GPU, DType.F16, 1)).isEqualTo(3 * PIXELS * 128 * 2);
    assertThat(bytes(GPU, DType.F16, 1, 1)).isEqualTo(3 * PIXELS * 128 * 2);
  }

  /** A level of half the edge has a quarter of the positions. */
  @Test
  void aCoarserLevelMayTakeMost() {
    // Level 1: 3 * 16 / 4; level 0: 16 + 17.
    assertThat(bytes(GPU, DType.F16, 1, 16)).isEqualTo(33 * PIXELS * 128 * 2);
    // Level 2: 3 * 64 / 16; level 1: (64 + 65) / 4; level 0: 3.
    assertThat(bytes(GPU, DType.F16, 1, 1, 64)).isEqualTo(129 * PIXELS / 4 * 128 * 2);
  }

  @Test
  void theCpuDecodesInFloat32WithFourMapsMore() {
    assertThat(bytes(Device.CPU, DType.BF16, 1, 1)).isEqualTo(7 * PIXELS * 128 * 4);
  }
}
