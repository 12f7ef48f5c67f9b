package io.heatkv.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class LevelSetTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          16                   | 16      | [16]
          8                    | 8       | [8]
          k8v4                 | k8v4    | [k8v4]
          4, 8                 | 8,4     | [8, 4]
          8,8                  | 8       | [8]
          pooled               | 16,pooled | [16, 16:1/2, 16:1/4, 16:1/8]
          pooled,4             | 4,pooled  | [4, 4:1/2, 4:1/4, 4:1/8]
          """)
  void readsPrecisionsAndResolutions(String text, String canonical, String levels) {
    LevelSet set = LevelSet.parse(text);
    assertThat(set).hasToString(canonical);
    assertThat(set.levels().toString()).isEqualTo(levels);
  }

  @Test
  void allIsWhatIsCalledSo() {
    assertThat(LevelSet.parse(LevelSet.ALL.toString())).isEqualTo(LevelSet.ALL);
    assertThat(LevelSet.ALL.levels()).hasSize(16);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", " ", "2", "16:1/2", "8,,4", "8,", "int8", "K8V4", "8;4", "a\nb"})
  void refusesOthersInOneLine(String text) {
    assertThatThrownBy(() -> LevelSet.parse(text))
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith("level '")
        .hasMessageContaining("is unknown; expected a list of 16, 8, k8v4, 4 and pooled")
        .message()
        .doesNotContain("\n");
  }
}
