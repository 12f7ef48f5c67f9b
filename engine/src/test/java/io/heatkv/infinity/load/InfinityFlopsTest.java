package io.heatkv.infinity.load;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.cache.KvShape;
import io.heatkv.infinity.RotaryNormalization;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.infinity.vae.VaeConfig;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.DType;
import java.util.List;
import org.junit.jupiter.api.Test;

class InfinityFlopsTest {
  /** Two levels of one doubling, one residual block and one more each; counted by hand. */
  @Test
  void convolutionsAreCountedAsByHand() {
    VaeConfig config = new VaeConfig(4, 8, List.of(1, 2), List.of(), 1, 2);
    double low = 3 * 5;
    double sum = 18 * 4 * 16 * low;
    // Two middle blocks and two of the coarse level, two convolutions each.
    sum += 8 * 18 * 16 * 16 * low;
    double high = 4 * low;
    sum += 18 * 16 * 16 * high;
    // The fine level narrows, with a shortcut, then keeps.
    sum += (18 * 16 * 8 + 18 * 8 * 8 + 2 * 16 * 8) * high + 2 * 18 * 8 * 8 * high;
    sum += 18 * 8 * 3 * high;
    assertThat(InfinityFlops.decode(config, 3, 5)).isEqualTo(sum);
  }

  @Test
  void operationsOfTheTransformerAsByHand() {
    TransformerConfig small =
        new TransformerConfig(
            2, 64, 2, 256, 4, 128, 16, 2, true, RotaryNormalization.ROUNDED, true, false);
    KvShape shape = new KvShape(2, 2, 2, 2, 32, DType.F32, ScaleGrids.parse("1x1,2x2,4x4"));
    // Two rows of one token through 2 layers: 2 * 2 * (2 * (6 * 64^2 + 2 * 64 * 256 + 2 * 64 * 4)
    // + 2 * 64 * 4).
    assertThat(InfinityFlops.transformer(small, shape, 0, 3)).isEqualTo(464_896);
    // Four tokens that see five and three of the text.
    assertThat(InfinityFlops.transformer(small, shape, 1, 3))
        .isEqualTo(4 * 4 * (2 * (24_576 + 32_768 + 1024) + 512));
  }
}
