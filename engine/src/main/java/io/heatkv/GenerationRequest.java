package io.heatkv;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.error.UserException;
import io.heatkv.family.PictureRequest;
import io.heatkv.load.ModelSizes;
import io.heatkv.sample.ImageSeeds;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Pictures to draw in one pass: all over the same scales, under the same policy, with the same form
 * of guidance. Prompts, seeds and the values of sampling may differ.
 *
 * @param pictures one or more
 * @param grids grids of the scales
 * @param policy what is remembered of earlier scales
 */
public record GenerationRequest(
    List<PictureRequest> pictures, ScaleGrids grids, CachePolicy policy) {
  /**
   * @throws UserException if there is no picture, or pictures differ in their form of guidance
   */
  public GenerationRequest {
    pictures = List.copyOf(pictures);
    if (pictures.isEmpty()) {
      throw new UserException("no prompt; give at least one text");
    }
    SamplingOptions first = pictures.getFirst().sampling();
    for (PictureRequest picture : pictures) {
      if (!picture.sampling().hasFormOf(first)) {
        throw new UserException(
            "pictures of one pass have different forms of guidance; draw guided and unguided ones,"
                + " and those with other guided layers, in passes of their own");
      }
    }
  }

  /**
   * Some pictures of each prompt with the same sampling.
   *
   * @param negativePrompt takes the place of the learned unconditional text
   * @param imagesPerPrompt pictures of each prompt; all of one prompt stand together
   * @param seed of the first picture; the others' follow from it, see {@link ImageSeeds}
   * @throws UserException if there is no prompt, a blank one, or no picture asked for
   */
  public static GenerationRequest of(
      List<String> prompts,
      Optional<String> negativePrompt,
      int imagesPerPrompt,
      long seed,
      ScaleGrids grids,
      SamplingOptions sampling,
      CachePolicy policy) {
    if (imagesPerPrompt < 1) {
      throw new UserException("count " + imagesPerPrompt + " is out of range; expected 1 or more");
    }
    List<PictureRequest> pictures = new ArrayList<>();
    for (int i = 0; i < prompts.size(); i++) {
      if (prompts.get(i).isBlank()) {
        throw new UserException(
            "prompt " + (i + 1) + " is blank; expected a text that says what to draw");
      }
      for (int j = 0; j < imagesPerPrompt; j++) {
        long own = ImageSeeds.of(seed, pictures.size());
        pictures.add(new PictureRequest(prompts.get(i), negativePrompt, own, sampling));
      }
    }
    return new GenerationRequest(pictures, grids, policy);
  }

  /** Number of pictures. */
  public int images() {
    return pictures.size();
  }

  /** Rows of a batch that a picture takes: with guidance two, conditional and unconditional. */
  public int rowsPerPicture() {
    return pictures.getFirst().sampling().isGuided() ? 2 : 1;
  }

  /**
   * Sizes of its cache.
   *
   * @param dtype in which keys and values come
   */
  public KvShape kvShape(ModelSizes model, DType dtype) {
    return model.kvShape(images(), rowsPerPicture(), dtype, grids);
  }

  /** The same pictures under another policy. */
  public GenerationRequest with(CachePolicy other) {
    return new GenerationRequest(pictures, grids, other);
  }

  /** The same pictures with another seed of the first; the others' follow from it. */
  public GenerationRequest withSeed(long seed) {
    List<PictureRequest> seeded = new ArrayList<>();
    for (PictureRequest picture : pictures) {
      long own = ImageSeeds.of(seed, seeded.size());
      seeded.add(
          new PictureRequest(picture.prompt(), picture.negativePrompt(), own, picture.sampling()));
    }
    return new GenerationRequest(seeded, grids, policy);
  }

  /** The same pictures over other grids; a policy is made for the grids that are drawn. */
  public GenerationRequest with(ScaleGrids other, CachePolicy fitting) {
    return new GenerationRequest(pictures, other, fitting);
  }

  /** The same pictures sampled otherwise. */
  public GenerationRequest with(SamplingOptions sampling) {
    return new GenerationRequest(
        pictures.stream()
            .map(each ->
                new PictureRequest(each.prompt(), each.negativePrompt(), each.seed(), sampling))
            .toList(),
        grids,
        policy);
  }
}
