package io.heatkv;

import io.heatkv.cache.CachePolicy;
import io.heatkv.error.UserException;
import io.heatkv.scale.ScaleSchedule;
import java.util.List;
import java.util.Optional;

/**
 * Pictures to draw in one pass.
 *
 * @param prompts one or more
 * @param negativePrompt takes the place of the learned unconditional text
 * @param imagesPerPrompt pictures of each prompt
 * @param seed of the first picture; the others' follow from it
 * @param schedule grids of the scales
 * @param sampling how bits are drawn
 * @param policy what is remembered of earlier scales
 */
public record GenerationRequest(
    List<String> prompts,
    Optional<String> negativePrompt,
    int imagesPerPrompt,
    long seed,
    ScaleSchedule schedule,
    SamplingOptions sampling,
    CachePolicy policy) {
  /**
   * @throws UserException if there is no prompt, a blank one, or no picture asked for
   */
  public GenerationRequest {
    prompts = List.copyOf(prompts);
    if (prompts.isEmpty()) {
      throw new UserException("no prompt; give at least one text");
    }
    for (int i = 0; i < prompts.size(); i++) {
      if (prompts.get(i).isBlank()) {
        throw new UserException(
            "prompt " + (i + 1) + " is blank; expected a text that says what to draw");
      }
    }
    if (imagesPerPrompt < 1) {
      throw new UserException("count " + imagesPerPrompt + " is out of range; expected 1 or more");
    }
  }

  /** Pictures of the whole request. */
  public int images() {
    return Math.multiplyExact(prompts.size(), imagesPerPrompt);
  }

  /** The prompt of picture {@code image}: all pictures of a prompt stand together. */
  public String promptOf(int image) {
    return prompts.get(image / imagesPerPrompt);
  }
}
