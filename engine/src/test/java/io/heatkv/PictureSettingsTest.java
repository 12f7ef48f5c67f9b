package io.heatkv;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.family.Conditioning;
import io.heatkv.family.PictureRequest;
import io.heatkv.sample.SamplingOptions;
import java.nio.ByteBuffer;
import java.nio.IntBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Pictures of one pass that are asked for in different ways. */
class PictureSettingsTest {
  private static final String PROMPT = "a green tree";

  @TempDir static Path folder;

  private static TinyModel tiny;

  @BeforeAll
  static void load() {
    tiny = new TinyModel(folder);
  }

  @AfterAll
  static void close() {
    tiny.close();
  }

  /** What all pictures of a pass have in common. */
  enum Form {
    NONE(false),
    LOGITS(true),
    LAYERS(false),
    BOTH(true);

    private final boolean onLogits;

    Form(boolean onLogits) {
      this.onLogits = onLogits;
    }

    PictureRequest picture(
        String prompt,
        String negative,
        long seed,
        List<Double> cfg,
        List<Double> tau,
        double topP) {
      return picture(prompt, negative, seed, cfg, tau, topP, false);
    }

    PictureRequest picture(
        String prompt,
        String negative,
        long seed,
        List<Double> cfg,
        List<Double> tau,
        double topP,
        boolean argmax) {
      Set<Integer> layers = this == LAYERS || this == BOTH ? Set.of(-1, -3) : Set.of();
      return new PictureRequest(
          prompt,
          Optional.of(negative).filter(text -> !text.isEmpty()),
          seed,
          new SamplingOptions(
              this == NONE ? List.of(1.0) : cfg, tau, 0, topP, argmax, onLogits, layers, 1));
    }
  }

  static Stream<Arguments> passes() {
    return Stream.of("full", "heatkv", "h2o")
        .flatMap(policy -> Stream.of(Form.values()).map(form -> Arguments.of(policy, form)));
  }

  /** Each differs from the first in one respect; the last is the first again. */
  private static List<PictureRequest> pictures(Form form) {
    List<Double> cfg = List.of(3.0);
    List<Double> tau = List.of(4.0);
    PictureRequest first = form.picture(PROMPT, "", 1, cfg, tau, 1);
    List<PictureRequest> pictures =
        new ArrayList<>(
            List.of(
                first,
                form.picture("an owl", "", 1, cfg, tau, 1),
                form.picture(PROMPT, "", 2, cfg, tau, 1),
                form.picture(PROMPT, "", 1, cfg, List.of(1.0), 1),
                form.picture(PROMPT, "", 1, cfg, List.of(4.0, 0.5), 1),
                form.picture(PROMPT, "", 1, cfg, tau, 0.7),
                form.picture(PROMPT, "", 1, cfg, tau, 1, true)));
    if (form != Form.NONE) {
      pictures.add(form.picture(PROMPT, "", 1, List.of(9.0), tau, 1));
      pictures.add(form.picture(PROMPT, "", 1, List.of(3.0, 1.0, 6.0), tau, 1));
      pictures.add(form.picture(PROMPT, "a cat", 1, cfg, tau, 1));
    }
    pictures.add(first);
    return pictures;
  }

  /**
   * What a pass draws.
   *
   * @param tokens [scale][picture]
   */
  private record Drawn(List<List<IntBuffer>> tokens, List<ByteBuffer> pixels) {
    static Drawn of(List<PictureRequest> pictures, String policy) {
      List<List<IntBuffer>> tokens = new ArrayList<>();
      GenerationRequest request =
          new GenerationRequest(pictures, TinyModel.SCALES, tiny.policy(policy));
      GenerationListener listener =
          new GenerationListener() {
            @Override
            public void scaleDone(int scale, int count, Generation generation) {
              tokens.add(TinyModel.tokens(generation));
            }
          };
      try (Generation generation = Generation.open(tiny.model(), request)) {
        return new Drawn(tokens, TinyModel.pixels(generation.run(listener).images()));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("passes")
  void aPictureIsTheOneThatItsSettingsDrawAlone(String policy, Form form) {
    List<PictureRequest> pictures = pictures(form);
    Drawn together = Drawn.of(pictures, policy);
    for (int i = 0; i < pictures.size(); i++) {
      Drawn alone = Drawn.of(List.of(pictures.get(i)), policy);
      for (int scale = 0; scale < TinyModel.SCALES.count(); scale++) {
        assertThat(together.tokens.get(scale).get(i))
            .as("picture %d, scale %d", i, scale)
            .isEqualTo(alone.tokens.get(scale).getFirst());
      }
      assertThat(together.pixels.get(i)).as("picture " + i).isEqualTo(alone.pixels.getFirst());
    }
    // Every setting counts.
    assertThat(together.pixels.subList(0, pictures.size() - 1)).doesNotHaveDuplicates();
    assertThat(together.pixels.getLast()).isEqualTo(together.pixels.getFirst());
  }

  @Test
  void equalTextsAreEncodedOnce() {
    List<Double> one = List.of(2.0);
    List<PictureRequest> pictures =
        List.of(
            Form.LOGITS.picture("a cat", "an owl", 1, one, one, 1),
            Form.LOGITS.picture("an owl", "", 1, one, one, 1),
            Form.LOGITS.picture("a cat", "an owl", 2, one, one, 1),
            Form.LOGITS.picture("an owl", "a cat", 2, one, one, 1));
    tiny.encoded.clear();
    try (Conditioning text = tiny.model().encode(pictures, true)) {
      assertThat(text.warnings()).isEmpty();
    }
    assertThat(tiny.encoded).containsExactly("a cat", "an owl");
  }
}
