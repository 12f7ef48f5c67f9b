package io.heatkv.tensor.libtorch;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.BitSet;
import java.util.Random;
import org.junit.jupiter.api.Test;

class CoveredTimeTest {
  @Test
  void everyMomentCountsOnce() {
    Random random = new Random(3);
    CoveredTime time = new CoveredTime();
    for (int round = 0; round < 200; round++) {
      BitSet moments = new BitSet();
      for (int i = random.nextInt(12); i > 0; i--) {
        int start = random.nextInt(60);
        int end = start + random.nextInt(20);
        time.add(start, end);
        moments.set(start, end);
      }
      assertThat(time.take()).isEqualTo(moments.cardinality());
    }
  }
}
