package io.heatkv;

import io.heatkv.cache.CachePolicy;
import io.heatkv.error.UserException;
import io.heatkv.sample.ImageSeeds;
import io.heatkv.scale.ScaleSchedule;
import java.util.List;
import java.util.Optional;

/**
 * Pictures to draw in one pass.
 *
 * @param prompts one or more
 * @param negativePrompt takes the place of the learned unconditional text
 * @param imagesPerPrompt pictures of each prompt
 * @param seeds one for each picture
 * @param schedule grids of the scales
 * @param sampling how bits are drawn
 * @param policy what is remembered of earlier scales
 */
public record GenerationRequest(
    List<String> prompts,
    Optional<String> negativePrompt,
    int imagesPerPrompt,
    List<Long> seeds,
    ScaleSchedule schedule,
    SamplingOptions sampling,
    CachePolicy policy) {
  /**
   * @throws UserException if there is no prompt, a blank one, no picture asked for, or another
   *     number of seeds than of pictures
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
    seeds = List.copyOf(seeds);
    if (seeds.size() != (long) prompts.size() * imagesPerPrompt) {
      throw new UserException(
          seeds.size()
              + " seeds don't fit "
              + prompts.size()
              + " prompts of "
              + imagesPerPrompt
              + " pictures; expected one for each picture");
    }
  }

  /**
   * The same with one seed.
   *
   * @param seed of the first picture; the others' follow from it, see {@link ImageSeeds}
   */
  public GenerationRequest(
      List<String> prompts,
      Optional<String> negativePrompt,
      int imagesPerPrompt,
      long seed,
      ScaleSchedule schedule,
      SamplingOptions sampling,
      CachePolicy policy) {
    this(
        prompts,
        negativePrompt,
        imagesPerPrompt,
        ImageSeeds.all(seed, Math.max(0, Math.multiplyExact(prompts.size(), imagesPerPrompt))),
        schedule,
        sampling,
        policy);
  }

  /** Seed of the first picture. */
  public long seed() {
    return seeds.getFirst();
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
