package io.heatkv;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.cache.CachePolicy;
import io.heatkv.error.UserException;
import io.heatkv.sample.ImageSeeds;
import io.heatkv.scale.ScaleSchedules;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is asked for, up to the ends of its ranges. */
class GenerationRequestTest {
  private static GenerationRequest request(List<String> prompts, int each, List<Long> seeds) {
    return new GenerationRequest(
        prompts,
        Optional.empty(),
        each,
        seeds,
        ScaleSchedules.parse("1x1"),
        SamplingOptions.of(3, 1, 1),
        CachePolicy.FULL);
  }

  @Test
  void picturesOfAPromptStandTogether() {
    GenerationRequest request = request(List.of("a", "b"), 3, List.of(9L, 8L, 7L, 6L, 5L, 4L));
    assertThat(request.images()).isEqualTo(6);
    assertThat(request.seed()).isEqualTo(9);
    assertThat(request.promptOf(2)).isEqualTo("a");
    assertThat(request.promptOf(3)).isEqualTo("b");
    GenerationRequest oneSeed =
        new GenerationRequest(
            List.of("a", "b"),
            Optional.empty(),
            2,
            5,
            ScaleSchedules.parse("1x1"),
            SamplingOptions.of(3, 1, 1),
            CachePolicy.FULL);
    assertThat(oneSeed.seeds()).hasSize(4).startsWith(5L).endsWith(ImageSeeds.of(5, 3));
  }

  @Test
  void whatDoesNotFitIsRefused() {
    refused(() -> request(List.of(), 1, List.of()), "no prompt");
    refused(() -> request(List.of("a", " "), 1, List.of(1L, 2L)), "prompt 2 is blank");
    refused(() -> request(List.of("a"), 0, List.of()), "count 0");
    refused(() -> request(List.of("a"), -1, List.of()), "count -1");
    refused(
        () -> request(List.of("a", "b"), 2, List.of(1L, 2L, 3L)), "3 seeds don't fit 2 prompts");
    refused(() -> request(List.of("a"), 1, List.of(1L, 2L)), "2 seeds don't fit 1 prompts of 1");
  }

  private static void refused(ThrowingCallable made, String expected) {
    assertThatThrownBy(made).isInstanceOf(UserException.class).hasMessageContaining(expected);
  }

  @ParameterizedTest
  @CsvSource({
    "0, 1, 1, -1,",
    "1000, 1000, 1, -1,",
    "1, 1e-9, 1e-9, -100,",
    "-0.001, 1, 1, -1, cfg -0.001",
    "1000.1, 1, 1, -1, cfg 1000.1",
    "NaN, 1, 1, -1, cfg NaN",
    "1, 0, 1, -1, tau 0.0",
    "1, 1000.1, 1, -1, tau 1000.1",
    "1, NaN, 1, -1, tau NaN",
    "1, 1, 0, -1, top-p 0.0",
    "1, 1, 1.001, -1, top-p 1.001",
    "1, 1, NaN, -1, top-p NaN",
    "1, 1, 1, 0, guided layer 0"
  })
  void rangesOfSampling(double cfg, double tau, double topP, int layer, @Nullable String expected) {
    if (expected == null) {
      assertThatCode(() -> options(List.of(1.0, cfg), List.of(1.0, tau), topP, layer))
          .doesNotThrowAnyException();
    } else {
      refused(() -> options(List.of(1.0, cfg), List.of(1.0, tau), topP, layer), expected);
    }
    refused(() -> options(List.of(), List.of(1.0), 1, -1), "at least one value");
    refused(() -> options(List.of(1.0), List.of(), 1, -1), "at least one value");
  }

  private static SamplingOptions options(
      List<Double> cfg, List<Double> tau, double topP, int layer) {
    return new SamplingOptions(cfg, tau, topP, false, true, Set.of(layer));
  }

  @Test
  void theLastValueServesAllFurtherScales() {
    SamplingOptions options = options(List.of(1.0, 2.0), List.of(0.5, 0.25, 0.125), 1, -1);
    assertThat(List.of(options.cfg(0), options.cfg(1), options.cfg(2), options.cfg(12)))
        .containsExactly(1.0, 2.0, 2.0, 2.0);
    assertThat(List.of(options.tau(0), options.tau(2), options.tau(3)))
        .containsExactly(0.5, 0.125, 0.125);
    assertThat(options.isGuided()).isTrue();
    assertThat(options(List.of(1.0, 1.0), List.of(0.5), 1, -1).isGuided()).isFalse();
    assertThat(options(List.of(1.0, 0.0), List.of(0.5), 1, -1).isGuided()).isTrue();
    assertThat(options.withArgmax().argmax()).isTrue();
    assertThat(options.withArgmax().guidedLayers()).containsExactly(-1);
  }

  @Test
  void timesAddUp() {
    GenerationResult.Timings timings = new GenerationResult.Timings(100, List.of(1.0, 20.0), 3000);
    assertThat(timings.transformer()).isEqualTo(21);
    assertThat(timings.total()).isEqualTo(3121);
  }
}
