package io.heatkv.infinity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import io.heatkv.json.JsonObject;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Sizes that a model.json says, and those of the official code. */
class TransformerConfigsTest {
  private static final String SIZES =
      "\"depth\": 4, \"embed_dim\": 320, \"num_heads\": 10, \"text_channels\": 256";

  private static TransformerConfig read(String more) {
    return TransformerConfigs.read(
        JsonObject.parse(Path.of("model.json"), "{" + SIZES + more + "}"), 16);
  }

  @Test
  void whatIsLeftOutIsAsInThePublishedModels() {
    assertThat(read(""))
        .isEqualTo(
            new TransformerConfig(
                4, 320, 10, 1280, 16, 256, 512, 1, true, RotaryNormalization.of(2), true, false));
    assertThat(
            read(
                ", \"mlp_hidden\": 7, \"text_maxlen\": 8, \"block_chunks\": 2, \"cos_attn\": 0,"
                    + " \"rope2d_normalized_by_hw\": 1, \"apply_spatial_patchify\": 1,"
                    + " \"add_lvl_embeding_only_first_block\": 0"))
        .isEqualTo(
            new TransformerConfig(
                4, 320, 10, 7, 64, 256, 8, 2, false, RotaryNormalization.of(1), false, true));
  }

  /** {@code round(width * ratio / 256) * 256} in Python, whose halves go to the even number. */
  @ParameterizedTest
  @CsvSource({
    "320, 4, 1280",
    "2048, 4, 8192",
    "2080, 4, 8192",
    "3360, 4, 13312",
    "768, 2.5, 2048",
    "512, 1.1, 512",
    "512, 1.3, 768"
  })
  void hiddenChannelsAreRounded(int width, double ratio, int hidden) {
    assertThat(TransformerConfigs.hidden(width, ratio)).isEqualTo(hidden);
  }

  @ParameterizedTest
  @CsvSource({
    "rms_norm, 1",
    "swiglu, 1",
    "nm0, 1",
    "shared_aln, 0",
    "head_aln, 0",
    "use_bit_label, 0",
    "rope2d_each_sa_layer, 0",
    "head_depth, 2",
    "cross_attn_layer_scale, 0",
    "cross_attn_layer_scale, 0.5"
  })
  void otherArchitecturesAreRefused(String key, String value) {
    assertThatThrownBy(() -> read(", \"" + key + "\": " + value))
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith("model.json: ")
        .hasMessageContaining(key);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"rms_norm\": 0",
        "\"shared_aln\": true",
        "\"head_depth\": 1",
        "\"cross_attn_layer_scale\": -1",
        "\"cross_attn_layer_scale\": -0.001"
      })
  void thePublishedArchitectureMayBeSaid(String more) {
    assertThat(read(", " + more)).isEqualTo(read(""));
  }

  @ParameterizedTest
  @CsvSource({
    "3, 2, 320, 10, depth 3", "0, 1, 320, 10, depth 0", "4, 0, 320, 10, depth 4",
    "4, 1, 320, 0, width 320", "4, 1, 321, 10, width 321", "4, 1, 60, 10, width 60"
  })
  void sizesThatDoNotDivideAreRefused(
      int depth, int chunks, int width, int heads, String expected) {
    assertThatThrownBy(() ->
            new TransformerConfig(
                depth,
                width,
                heads,
                1,
                1,
                1,
                1,
                chunks,
                true,
                RotaryNormalization.ROUNDED,
                true,
                false))
        .isInstanceOf(UserException.class)
        .hasMessageContaining(expected);
  }

  /** As infinity.py registers them, with the guidance and temperature of the official scripts. */
  @ParameterizedTest
  @CsvSource({
    "infinity-2b, 32, 2048, 16, 8192, 8, 32, P1, 4, 0.5",
    "infinity-8b, 40, 3584, 28, 14336, 8, 56, P1, 3, 1",
    "infinity-20b, 58, 4608, 36, 18432, 2, 32, P1, 3, 1",
    "infinity-layer12, 12, 768, 8, 3072, 4, 32, P006, 3, 1",
    "infinity-361m, 16, 1152, 12, 4608, 4, 32, P006, 3, 1",
    "infinity-1b, 24, 1536, 16, 6144, 4, 32, P006, 3, 1",
    "infinity-layer32, 32, 2080, 20, 8192, 4, 32, P1, 3, 1",
    "infinity-layer40, 40, 2688, 24, 10752, 4, 32, P1, 3, 1",
    "infinity-layer48, 48, 3360, 28, 13312, 4, 32, P1, 3, 1"
  })
  void publishedSizes(
      String name,
      int depth,
      int width,
      int heads,
      int hidden,
      int chunks,
      int bits,
      Resolution resolution,
      double cfg,
      double tau) {
    PublishedModel model = PublishedModel.parse(name);
    assertThat(model.transformer())
        .isEqualTo(
            new TransformerConfig(
                depth,
                width,
                heads,
                hidden,
                bits,
                2048,
                512,
                chunks,
                true,
                RotaryNormalization.of(2),
                true,
                bits == 56));
    assertThat(model.codeChannels()).isEqualTo(bits == 56 ? 14 : 32);
    assertThat(model.resolution()).isEqualTo(resolution);
    assertThat(model.cfg()).isEqualTo(cfg);
    assertThat(model.tau()).isEqualTo(tau);
    assertThat(PublishedModel.of(depth, width)).contains(model);
    assertThat(PublishedModel.of(depth, width + 1)).isEmpty();
    assertThat(PublishedModel.of(depth + 1, width)).isEmpty();
    // A pool's head has 128 channels of the text, in models wider than 4096 64.
    assertThat(TransformerKeys.poolHeads(model.transformer())).isEqualTo(width > 4096 ? 32 : 16);
  }
}
