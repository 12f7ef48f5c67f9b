package io.heatkv;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.cache.CachePolicy;
import io.heatkv.error.UserException;
import io.heatkv.family.PictureRequest;
import io.heatkv.sample.ImageSeeds;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

/** What is asked for in one pass. */
class GenerationRequestTest {
  private static final ScaleGrids SCALES = ScaleGrids.parse("1x1");
  private static final SamplingOptions GUIDED = SamplingOptions.of(3, 1, 1);
  private static final SamplingOptions UNGUIDED = SamplingOptions.of(1, 1, 1);

  private static GenerationRequest request(List<String> prompts, int each) {
    return GenerationRequest.of(
        prompts, Optional.of("n"), each, 5, SCALES, GUIDED, CachePolicy.FULL);
  }

  @Test
  void picturesOfAPromptStandTogether() {
    GenerationRequest request = request(List.of("a", "b"), 3);
    assertThat(request.images()).isEqualTo(6);
    assertThat(request.rowsPerPicture()).isEqualTo(2);
    assertThat(request.pictures())
        .extracting(PictureRequest::prompt)
        .containsExactly("a", "a", "a", "b", "b", "b");
    assertThat(request.pictures().get(0).seed()).isEqualTo(5);
    assertThat(request.pictures().get(4).seed()).isEqualTo(ImageSeeds.of(5, 4));
    assertThat(request.pictures()).allMatch(picture -> picture.negativePrompt().isPresent());
    assertThat(new GenerationRequest(List.of(picture(UNGUIDED)), SCALES, CachePolicy.FULL))
        .returns(1, GenerationRequest::rowsPerPicture)
        .returns(1, GenerationRequest::images);
  }

  private static PictureRequest picture(SamplingOptions sampling) {
    return new PictureRequest("a", 1, sampling);
  }

  @Test
  void whatDoesNotFitIsRefused() {
    refused(() -> request(List.of(), 1), "no prompt");
    refused(() -> request(List.of("a", " "), 1), "prompt 2 is blank");
    refused(() -> request(List.of("a"), 0), "count 0");
    refused(() -> request(List.of("a"), -1), "count -1");
    refused(() -> new PictureRequest(" ", 1, GUIDED), "the prompt is blank");
    refused(
        () -> new PictureRequest("a", Optional.of(""), 1, GUIDED), "the negative prompt is blank");
    refused(
        () ->
            new GenerationRequest(
                List.of(picture(GUIDED), picture(GUIDED), picture(UNGUIDED)),
                SCALES,
                CachePolicy.FULL),
        "different forms of guidance");
  }

  /** One line, whichever comes first. */
  @Test
  void formsOfGuidanceDoNotMix() {
    List<SamplingOptions> forms =
        List.of(
            GUIDED,
            UNGUIDED,
            guided(false, Set.of(-1)),
            guided(false, Set.of(-1, -2)),
            guided(true, Set.of(-1)));
    for (SamplingOptions first : forms) {
      for (SamplingOptions second : forms) {
        ThrowingCallable made =
            () ->
                new GenerationRequest(
                    List.of(picture(first), picture(second)), SCALES, CachePolicy.FULL);
        if (first == second) {
          assertThatCode(made).doesNotThrowAnyException();
        } else {
          refused(made, "different forms of guidance");
        }
      }
    }
  }

  private static SamplingOptions guided(boolean onLogits, Set<Integer> layers) {
    return new SamplingOptions(List.of(3.0), List.of(1.0), 0, 1, false, onLogits, layers, 1);
  }

  private static void refused(ThrowingCallable made, String expected) {
    assertThatThrownBy(made)
        .isInstanceOf(UserException.class)
        .hasMessageContaining(expected)
        .hasMessageNotContaining("\n");
  }

  @Test
  void timesAddUp() {
    GenerationResult.Timings timings = new GenerationResult.Timings(100, List.of(1.0, 20.0), 3000);
    assertThat(timings.transformer()).isEqualTo(21);
    assertThat(timings.total()).isEqualTo(3121);
  }
}
