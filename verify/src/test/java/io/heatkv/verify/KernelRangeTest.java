package io.heatkv.verify;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.testkit.TestDevice;
import java.util.List;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.api.Test;

/**
 * Steps of a block on shapes from the whole range of models: 1 to 32 heads of 32, 64 and 128
 * channels, 1 to 5000 tokens and earlier entries, 1 to 8 rows.
 */
class KernelRangeTest {
  private static final int MOST_HEADS = 32;
  private static final List<Integer> HEAD_DIMS = List.of(32, 64, 128);
  private static final List<DType> TYPES = List.of(DType.F32, DType.BF16, DType.F16);
  private static final long SEED = 20_261_124;
  // On a processor, so that all take a few seconds; what attention multiplies, in elements.
  private static final long FEW_PRODUCTS = 12_000_000;

  private final Backend backend = TestDevice.backend();

  /** One shape of each head count; types and head sizes take turns. */
  @Test
  void everyHeadCountAgreesWithFloat64() {
    SoftAssertions all = new SoftAssertions();
    for (int heads = 1; heads <= MOST_HEADS; heads++) {
      check(all, heads, HEAD_DIMS.get(heads % 3), TYPES.get(heads / 3 % 3), SEED + heads);
    }
    all.assertAll();
  }

  /** Nine shapes of each head count: all types and head sizes. */
  @Test
  void everyTypeAndHeadSizeAgreesWithFloat64() {
    assumeTrue(TestDevice.device().isCuda(), "runs with -Dheatkv.device=cuda only");
    SoftAssertions all = new SoftAssertions();
    for (int heads = 1; heads <= MOST_HEADS; heads++) {
      for (DType dtype : TYPES) {
        for (int dim : HEAD_DIMS) {
          check(all, heads, dim, dtype, SEED + 1000 * dim + 100 * dtype.ordinal() + heads);
        }
      }
    }
    all.assertAll();
  }

  private void check(SoftAssertions all, int heads, int dim, DType dtype, long seed) {
    long before = backend.liveTensors();
    long products = TestDevice.device().isCuda() ? Long.MAX_VALUE : FEW_PRODUCTS;
    KernelRangeCase shape = KernelRangeCase.of(heads, dim, products, seed);
    new KernelRangeSteps(backend, TestDevice.device(), dtype, shape)
        .errors()
        .forEach((step, error) ->
            all.assertThat(error)
                .as("%s in %s, %s", step, dtype, shape)
                .isLessThanOrEqualTo(tolerance(dtype)));
    assertThat(backend.liveTensors()).isEqualTo(before);
  }

  private static double tolerance(DType dtype) {
    return switch (dtype) {
      case BF16 -> 1e-2;
      case F16 -> 2e-3;
      default -> 1e-5;
    };
  }
}
