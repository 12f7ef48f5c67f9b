package io.heatkv.text;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Cases decided by running aug_with_positive_prompt of the official tool. */
class PositivePromptTest {
  @ParameterizedTest
  @CsvSource({
    "a woman in a suit, true",
    "many apples, true",
    "a red season, true",
    "A MAN, false",
    "a red apple, false",
    "a dog and a cat, false",
    "children playing, true",
    "the boy, true"
  })
  void addsToPromptsWithPersons(String prompt, boolean added) {
    assertThat(PositivePrompt.of(prompt))
        .isEqualTo(
            added
                ? prompt
                    + ". very smooth faces, good looking faces, face to the camera, perfect facial"
                    + " features"
                : prompt);
  }
}
