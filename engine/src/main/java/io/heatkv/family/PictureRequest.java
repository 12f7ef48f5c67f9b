package io.heatkv.family;

import io.heatkv.error.UserException;
import io.heatkv.sample.SamplingOptions;
import java.util.Optional;

/**
 * One picture to draw.
 *
 * @param prompt what it shows, in the words of the model's family: a text, or the name of a class
 * @param negativePrompt what guidance leads away from, instead of what the model learned for no
 *     prompt
 * @param seed draws it, alone or beside others
 * @param sampling how its tokens are drawn
 */
public record PictureRequest(
    String prompt, Optional<String> negativePrompt, long seed, SamplingOptions sampling) {
  /**
   * @throws UserException if a prompt is blank
   */
  public PictureRequest {
    if (prompt.isBlank()) {
      throw new UserException("the prompt is blank; expected a text that says what to draw");
    }
    if (negativePrompt.filter(String::isBlank).isPresent()) {
      throw new UserException("the negative prompt is blank; expected a text, or leave it out");
    }
  }

  /** A picture without a negative prompt. */
  public PictureRequest(String prompt, long seed, SamplingOptions sampling) {
    this(prompt, Optional.empty(), seed, sampling);
  }
}
