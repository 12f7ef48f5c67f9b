package io.heatkv.infinity.load;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvParts;
import io.heatkv.cache.KvPlan;
import io.heatkv.cache.KvShape;
import io.heatkv.calibrate.ObservedCache;
import io.heatkv.error.UserException;
import io.heatkv.infinity.PublishedModel;
import io.heatkv.infinity.Resolution;
import io.heatkv.infinity.ScaleTemplate;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.load.MemoryNeed;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import org.junit.jupiter.api.Test;

class MemoryNeedTest {
  private static final long GIB = 1L << 30;
  private static final MemoryNeed NEED = new MemoryNeed(4 * GIB, 32 * GIB, 8 * GIB);

  private static MemoryNeed infinity2b(int images) {
    return infinity2b(images, CachePolicy.FULL, Device.cuda(0));
  }

  private static MemoryNeed infinity2b(int images, CachePolicy policy, Device device) {
    RandomInfinity sizes = RandomInfinity.of("infinity-2b");
    return sizes.transformerNeed(
        sizes.kvShape(images, 2, DType.BF16, sizes.grids()), policy, device);
  }

  /**
   * On one H100, libtorch 2.11, the driver told 8262 and 19088 MiB beyond an idle process at batch
   * 1 and 4, of which 252 MiB were the libraries' own.
   */
  @Test
  void theNeedIsWhatTheDriverTold() {
    assertThat((infinity2b(1).total() >> 20) + 252).isBetween(8262L * 99 / 100, 8262L * 101 / 100);
    assertThat((infinity2b(4).total() >> 20) + 252)
        .isBetween(19088L * 99 / 100, 19088L * 101 / 100);
    // 32 layers, 2 rows, keys and values of 2048 channels, 6425 tokens before the last scale.
    assertThat(infinity2b(1).cache()).isEqualTo(32L * 2 * 2 * 2048 * 6425 * 2);
  }

  /**
   * Two rows of 4096 tokens of 2048 channels in bfloat16 are 32 MiB: besides the stream of twice
   * that, nine and a half such while a layer feeds forward. Of the text two of 64 tokens for each
   * of 32 layers, six float32 vectors of each, and cosine and sine of 64 pairs of channels for
   * 10521 tokens. Of a CUDA device recordings take six float32 vectors for each of 1024 tokens, and
   * 32 of them 40 KiB for each of 32 layers.
   */
  @Test
  void scratchByHand() {
    long unit = 32L << 20;
    long kept = (2L * 2 * 64 * 2048 * 32 * 2) + (6L * 2 * 2048 * 32 * 4) + (10521L * 64 * 2 * 4);
    long recorded = (1024L * 6 * 2048 * 4) + (32L * 32 * (40 << 10));
    assertThat(infinity2b(1).scratch()).isEqualTo(23 * unit / 2 + kept + recorded);
    // While a layer attends, seven such, and of 6425 tokens of 32 layers those of one are gathered:
    // a twentieth takes less than feeding forward, all of them more.
    long gathered = 2L * 2 * 2048 * 6425 * 2;
    assertThat(infinity2b(1, keeping(20), Device.cuda(0)).scratch())
        .isEqualTo(23 * unit / 2 + kept + recorded);
    assertThat(infinity2b(1, keeping(1), Device.cuda(0)).scratch())
        .isEqualTo(9 * unit + kept + recorded + gathered);
    // On the CPU eight, and all scales' keys and values, joined.
    assertThat(infinity2b(1, CachePolicy.FULL, Device.CPU).scratch())
        .isEqualTo(10 * unit + kept + 2L * 2 * 2048 * 10521 * 2);
    // All but the rotary table and recordings grows with the batch.
    long once = 10521L * 64 * 2 * 4 + recorded;
    assertThat(infinity2b(3).scratch() - once).isEqualTo(3 * (infinity2b(1).scratch() - once));
  }

  /** Where the hidden layer is 16 times as wide, feeding forward takes more than attending. */
  @Test
  void scratchOfAWideHiddenLayerByHand() {
    TransformerConfig narrow = PublishedModel.INFINITY_2B.transformer();
    TransformerConfig wide =
        new TransformerConfig(
            1,
            64,
            2,
            1024,
            narrow.bits(),
            narrow.textChannels(),
            narrow.textMaxLength(),
            1,
            narrow.cosineAttention(),
            narrow.rotary(),
            narrow.levelEmbeddingOnce(),
            narrow.spatialPatchify());
    MemoryNeed need =
        InfinityMemory.transformer(
            wide,
            new KvShape(1, 3, 1, 2, 32, DType.F32, ScaleGrids.parse("1x1,2x2")),
            5,
            CachePolicy.FULL,
            Device.cuda(0));
    // Stream, five and a half of its size, the hidden layer; text, adaptive vectors, rotary table;
    // recordings.
    assertThat(need.scratch())
        .isEqualTo(
            4 * (3 * 4 * 64 * 13 / 2 + 3 * 4 * 1024 + 2 * 3 * 5 * 64 + 6 * 3 * 64 + 2 * 5 * 16)
                + 1024 * 6 * 64 * 4
                + 32 * (40 << 10));
    assertThat(need.cache()).isEqualTo(4 * 2 * 3 * 64);
  }

  /** Keeps one part of so many, in theory. */
  private static CachePolicy keeping(int parts) {
    return new CachePolicy() {
      @Override
      public String name() {
        return "part";
      }

      @Override
      public KvPlan plan(KvShape shape) {
        long bytes = shape.fullBytes() / parts;
        return new KvPlan(
            bytes,
            KvParts.NONE,
            bytes,
            bytes / shape.layers(),
            (_, _) -> {
              throw new AssertionError("nothing is drawn");
            });
      }
    };
  }

  /** A refusal names the largest batch that is accepted. */
  @Test
  void theLargestBatchFits() {
    long free = (long) (78.66 * GIB);
    int most = 120;
    while (isAccepted(most + 1, free)) {
      most++;
    }
    assertThat(isAccepted(most, free)).isTrue();
    assertThatThrownBy(() -> require(150, free))
        .isInstanceOf(UserException.class)
        .hasMessageEndingWith("; a batch of at most " + most + " fits");
  }

  private static boolean isAccepted(int images, long free) {
    try {
      require(images, free);
      return true;
    } catch (UserException _) {
      return false;
    }
  }

  private static void require(int images, long free) {
    infinity2b(images, keeping(20), Device.cuda(0))
        .requireAtMost(Device.cuda(0), free, images, images * 3_368_550_400L);
  }

  /**
   * Calibrating took 1686 MiB more of an H100 than drawing, of Infinity-2B's size, when it measured
   * half as many layers at once as now.
   */
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
            ScaleTemplate.nearest(1).grids(Resolution.P1));
    long scratch = ObservedCache.scratchBytes(shape);
    assertThat(scratch >> 20).isBetween(2 * 1686L, 2 * 1686L * 110 / 100);
    assertThat(new MemoryNeed(1, 20, 300).plusScratch(4000)).isEqualTo(new MemoryNeed(1, 20, 4300));
    assertThat(new MemoryNeed(1, 20, 4300).total()).isEqualTo(4321);
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
    // The CPU needs no share for libraries; what is just enough is enough.
    assertThatCode(() -> NEED.requireAtMost(Device.CPU, 44 * GIB, 8, 32 * GIB))
        .doesNotThrowAnyException();
    assertThatThrownBy(() -> NEED.requireAtMost(Device.CPU, 44 * GIB - 1, 8, 32 * GIB))
        .hasMessageEndingWith("a batch of at most 7 fits");
    assertThatThrownBy(() -> NEED.requireAtMost(Device.CPU, 9 * GIB, 8, 32 * GIB))
        .hasMessageEndingWith("a batch of at most 1 fits");
    assertThatThrownBy(() -> NEED.requireAtMost(Device.CPU, 9 * GIB - 1, 8, 32 * GIB))
        .hasMessageEndingWith("one picture fits with a KV budget of at most 0.999");
  }

  @Test
  void whereOnePictureIsTooMuchTheLargestBudgetIsNamed() {
    // (8 - 0.25) / 1.03 GiB without weights 4 and scratch 1, of 4 for the full cache.
    assertThatThrownBy(() -> NEED.requireAtMost(Device.cuda(1), 8 * GIB, 8, 32 * GIB))
        .hasMessageEndingWith("one picture fits with a KV budget of at most 0.631");
    assertThatThrownBy(() -> NEED.requireAtMost(Device.cuda(1), 3 * GIB, 8, 32 * GIB))
        .hasMessageEndingWith("choose a smaller resolution or model, or compute type bf16");
  }
}
