package io.heatkv.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class T5ConfigTest {
  // What google/flan-t5-xl's own file says.
  private static final String XL =
      """
      "d_ff": 5120, "d_kv": 64, "d_model": 2048, "num_heads": 32, "num_layers": 24,
      "vocab_size": 32128, "feed_forward_proj": "gated-gelu"
      """;

  @TempDir Path folder;

  private T5Config read(String values) throws IOException {
    return T5Config.read(Files.writeString(folder.resolve("config.json"), "{" + values + "}"));
  }

  @Test
  void whatIsLeftOutIsHuggingFacesDefault() throws IOException {
    assertThat(read(XL)).isEqualTo(T5Config.FLAN_T5_XL);
    assertThat(T5Config.FLAN_T5_XL)
        .isEqualTo(new T5Config(32128, 2048, 64, 5120, 24, 32, 32, 128, 1e-6));
    T5Config other =
        read(
            XL
                + ", \"relative_attention_num_buckets\": 16, \"layer_norm_epsilon\": 1e-5,"
                + " \"relative_attention_max_distance\": 64");
    assertThat(other).isEqualTo(new T5Config(32128, 2048, 64, 5120, 24, 32, 16, 64, 1e-5));
  }

  /** T5 v1.0 and UMT5's others aren't what Infinity reads. */
  @ParameterizedTest
  @ValueSource(strings = {"relu", "gelu", "gated-silu"})
  void otherFeedForwardsAreRefused(String form) {
    assertThatThrownBy(() -> read(XL.replace("gated-gelu", form)))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("feed_forward_proj is " + form + "; expected gated-gelu");
  }

  @Test
  void withoutAFormItIsReluAsInHuggingFace() {
    assertThatThrownBy(() -> read(XL.replace("feed_forward_proj", "other")))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("feed_forward_proj is relu");
  }
}
