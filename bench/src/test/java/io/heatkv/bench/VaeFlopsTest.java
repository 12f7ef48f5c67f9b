package io.heatkv.bench;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.infinity.vae.VaeConfig;
import java.util.List;
import org.junit.jupiter.api.Test;

class VaeFlopsTest {
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
    assertThat(VaeFlops.decode(config, 3, 5)).isEqualTo(sum);
  }
}
