package io.heatkv;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.calibrate.ObservedCache;
import io.heatkv.error.UserException;
import io.heatkv.infinity.PublishedModel;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.scale.Resolution;
import io.heatkv.scale.ScaleTemplate;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import org.junit.jupiter.api.Test;

class MemoryNeedTest {
  private static final long GIB = 1L << 30;
  private static final MemoryNeed NEED = new MemoryNeed(4 * GIB, 32 * GIB, 8 * GIB);

  private static MemoryNeed infinity2b(int images) {
    return MemoryNeed.ofTransformer(
        PublishedModel.INFINITY_2B.transformer(),
        ScaleTemplate.nearest(1).schedule(Resolution.P1),
        2 * images,
        64,
        CachePolicy.FULL,
        DType.BF16,
        Device.cuda(0));
  }

  /**
   * On one H100, libtorch 2.11, the driver told 8226 and 19146 MiB beyond an idle process at batch
   * 1 and 4, of which 252 MiB were the libraries' own.
   */
  @Test
  void theNeedIsWhatTheDriverTold() {
    assertThat((infinity2b(1).total() >> 20) + 252).isBetween(8226L * 95 / 100, 8226L);
    assertThat((infinity2b(4).total() >> 20) + 252).isBetween(19146L * 95 / 100, 19146L);
    // 32 layers, 2 rows, keys and values of 2048 channels, 6425 tokens before the last scale.
    assertThat(infinity2b(1).cache()).isEqualTo(32L * 2 * 2 * 2048 * 6425 * 2);
  }

  /**
   * 120 pictures of Infinity-2B's size at 5 % took 80,637,591,552 bytes of an H100, 78.66 GiB of
   * which were free; 130 failed.
   */
  @Test
  void theLargestBatchFits() {
    MemoryNeed measured = new MemoryNeed(gib(4.21), gib(160.63), gib(424.02));
    assertThatThrownBy(() -> measured.requireAtMost(Device.cuda(0), gib(78.66), 1024, gib(3212.6)))
        .hasMessageEndingWith("a batch of at most 125 fits");
  }

  /** Calibrating took 1686 MiB more of an H100 than drawing, of Infinity-2B's size. */
  @Test
  void aCalibrationNeedsMore() {
    TransformerConfig config = PublishedModel.INFINITY_2B.transformer();
    KvShape shape =
        new KvShape(
            config.depth(),
            2,
            2,
            config.heads(),
            config.headDim(),
            DType.BF16,
            ScaleTemplate.nearest(1).schedule(Resolution.P1));
    long scratch = ObservedCache.scratchBytes(shape);
    assertThat(scratch >> 20).isBetween(1686L, 1686L * 110 / 100);
    assertThat(infinity2b(1).plusScratch(scratch).total())
        .isEqualTo(infinity2b(1).total() + scratch);
  }

  private static long gib(double count) {
    return (long) (count * GIB);
  }

  @Test
  void tooLittleMemoryNamesTheLargestBatch() {
    assertThatThrownBy(() -> NEED.requireAtMost(Device.cuda(0), 20 * GIB, 8, 32 * GIB))
        .isInstanceOf(UserException.class)
        // (20 - 0.25) / 1.03 GiB are usable; besides the weights, for pictures of 5 GiB each.
        .hasMessageContaining("cuda:0 for 8 pictures at once")
        .hasMessageContaining("44.00 GiB are needed (weights 4.00, KV cache 32.00, scratch 8.00)")
        .hasMessageContaining("19.17 of 20.00 GiB free can be used; a batch of at most 3 fits")
        .hasMessageNotContaining("\n");
    assertThatCode(() -> NEED.requireAtMost(Device.cuda(0), 46 * GIB, 8, 32 * GIB))
        .doesNotThrowAnyException();
    assertThatCode(() -> NEED.requireAtMost(Device.CPU, 44 * GIB, 8, 32 * GIB))
        .doesNotThrowAnyException();
  }

  @Test
  void whereOnePictureIsTooMuchTheLargestBudgetIsNamed() {
    // (8 - 0.25) / 1.03 GiB without weights 4 and scratch 1, of 4 for the full cache.
    assertThatThrownBy(() -> NEED.requireAtMost(Device.cuda(1), 8 * GIB, 8, 32 * GIB))
        .hasMessageEndingWith("one picture fits with a KV budget of at most 0.631");
    assertThatThrownBy(() -> NEED.requireAtMost(Device.cuda(1), 3 * GIB, 8, 32 * GIB))
        .hasMessageEndingWith("choose a smaller resolution or model, or --dtype bf16");
  }
}
