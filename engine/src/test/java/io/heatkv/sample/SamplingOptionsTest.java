package io.heatkv.sample;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import java.util.List;
import java.util.Set;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** How tokens are drawn, up to the ends of the ranges. */
class SamplingOptionsTest {
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
    return new SamplingOptions(cfg, tau, 0, topP, false, true, Set.of(layer), 1);
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

  /** Families that add guidance to the conditional logits are unguided at 0. */
  @ParameterizedTest
  @CsvSource({"1, 1, false", "1, 0, true", "0, 1, true", "0, 0, false", "4, 0, true"})
  void whatIsNoGuidanceIsTheFamilys(double cfg, double neutral, boolean guided) {
    assertThat(SamplingOptions.of(cfg, 1, 1).withNeutralCfg(neutral).isGuided()).isEqualTo(guided);
  }

  @Test
  void topKIsANumberOfChoicesOrNone() {
    assertThat(SamplingOptions.of(3, 1, 1).topK()).isZero();
    assertThat(SamplingOptions.of(3, 1, 1).withTopK(900).withArgmax().topK()).isEqualTo(900);
    refused(() -> SamplingOptions.of(3, 1, 1).withTopK(-1), "top-k -1");
  }

  /** Strength, temperature and filter may differ in a pass; what is guided may not. */
  @Test
  void formsOfGuidance() {
    SamplingOptions options = options(List.of(3.0), List.of(1.0), 1, -1);
    assertThat(options.hasFormOf(options(List.of(2.0, 4.0), List.of(0.5), 0.9, -1))).isTrue();
    assertThat(options.hasFormOf(options.withArgmax())).isTrue();
    assertThat(options.hasFormOf(options(List.of(1.0), List.of(1.0), 1, -1))).isFalse();
    assertThat(options.hasFormOf(options(List.of(3.0), List.of(1.0), 1, -2))).isFalse();
    assertThat(options.hasFormOf(SamplingOptions.of(3, 1, 1))).isFalse();
    SamplingOptions off =
        new SamplingOptions(List.of(3.0), List.of(1.0), 0, 1, false, false, Set.of(-1), 1);
    assertThat(options.hasFormOf(off)).isFalse();
  }
}
