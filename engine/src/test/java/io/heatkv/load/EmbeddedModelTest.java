package io.heatkv.load;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import org.junit.jupiter.api.Test;

class EmbeddedModelTest {
  @Test
  void oneThatIsNotOnTheClassPathNamesItsJar() {
    assertThatThrownBy(() -> ModelSource.find("emoji-512"))
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith("model 'emoji-512' is not on the class path; add ")
        .hasMessageContaining("heatkv-model-emoji-512");
  }

  @Test
  void anUnknownOneIsToldAllNames() {
    assertThatThrownBy(() -> ModelSource.find("emojis"))
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith("model 'emojis' is unknown; expected emoji, emoji-512, a folder");
    assertThat(ModelSource.isEmbedded("emojis")).isFalse();
    assertThat(ModelSource.isEmbedded("emoji-512")).isTrue();
  }
}
