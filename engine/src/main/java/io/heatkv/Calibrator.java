package io.heatkv;

import io.heatkv.cache.KvShape;
import io.heatkv.calibrate.Observation;
import io.heatkv.error.UserException;
import io.heatkv.family.Conditioning;
import io.heatkv.family.PictureRequest;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.profile.PromptMeasurement;
import io.heatkv.profile.PromptSet;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.CalibrationSetup;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.concurrent.CancellationException;

/**
 * Calibrates a model: draws a few prompts with the full cache and sums up how much every scale
 * attends to each earlier one in each head (S-CAS).
 *
 * <p>Prompts are drawn one by one, prompt {@code i} with seed {@code seed + i}, as the reference
 * does. After each the state is saved, so that a killed calibration goes on where it was, with the
 * same result.
 */
public final class Calibrator {
  /** Follows a calibration and may end it. */
  public interface Listener {
    /**
     * @param done prompts done, those of an earlier run included
     */
    void promptDone(int done, int count);

    /** Asked between scales; true ends the calibration with a CancellationException. */
    boolean isCancelled();
  }

  private final ImageGenerator generator;
  private final ScaleGrids grids;
  private final SamplingOptions sampling;
  private final int sinkScales;
  private final long seed;
  private final boolean peers;

  /**
   * A calibration for HeatKV and its peers.
   *
   * @param sinkScales first scales, which are never removed and so not scored
   * @param seed of the first prompt
   */
  public Calibrator(
      ImageGenerator generator,
      ScaleGrids grids,
      SamplingOptions sampling,
      int sinkScales,
      long seed) {
    this(generator, grids, sampling, sinkScales, seed, true);
  }

  /**
   * As above.
   *
   * @param peers whether to measure what other policies are calibrated by too, which takes longer;
   *     without it the profile serves HeatKV alone
   */
  public Calibrator(
      ImageGenerator generator,
      ScaleGrids grids,
      SamplingOptions sampling,
      int sinkScales,
      long seed,
      boolean peers) {
    this.generator = generator;
    this.grids = grids;
    this.sampling = sampling;
    this.sinkScales = sinkScales;
    this.seed = seed;
    this.peers = peers;
  }

  /**
   * Draws the prompts and writes the profile. Until it is whole it lies beside, as {@code
   * NAME.partial}.
   *
   * @throws CancellationException if the listener ended it; what was done is kept
   * @throws UserException if the partial file is of another calibration, or can't be written
   */
  public CalibrationProfile calibrate(List<String> prompts, Path output, Listener listener) {
    generator.model().requireDrawable(grids);
    PromptSet set = PromptSet.of(prompts, seed);
    Path partial = partial(output);
    CalibrationProfile profile = CalibrationProfile.resume(partial, setup(), set);
    listener.promptDone(profile.promptsDone(), prompts.size());
    while (!profile.isComplete()) {
      int next = profile.promptsDone();
      PromptMeasurement measured = measure(prompts.get(next), seed + next, listener);
      profile = profile.plus(measured);
      profile.write(partial);
      listener.promptDone(next + 1, prompts.size());
    }
    try {
      Files.move(partial, output, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw new UserException(
          output + ": can't be written (" + e.getMessage() + "); the result is in " + partial, e);
    }
    return profile;
  }

  /** Where the state of an unfinished calibration lies. */
  public static Path partial(Path output) {
    return output.resolveSibling(output.getFileName() + ".partial");
  }

  private CalibrationSetup setup() {
    KvShape shape = generator.model().kvShape(1, 1, grids);
    return new CalibrationSetup(
        generator.description().name(),
        generator.fingerprint(),
        shape.layers(),
        shape.heads(),
        grids,
        sinkScales,
        sampling.cfg(),
        sampling.tau(),
        sampling.topP(),
        sampling.topK(),
        shape.headDim());
  }

  /**
   * Draws one prompt and measures its attention.
   *
   * @throws CancellationException if the listener ended it
   */
  public PromptMeasurement measure(String prompt, long promptSeed, Listener listener) {
    Observation observation = new Observation(sinkScales, peers);
    GenerationRequest request =
        new GenerationRequest(
            List.of(new PictureRequest(prompt, promptSeed, sampling)), grids, observation);
    try (Conditioning text = generator.model().encode(request.pictures(), sampling.isGuided());
        Generation generation =
            Generation.open(generator.model(), text, request, null, observation)) {
      while (!generation.isDone()) {
        generation.step();
        if (listener.isCancelled()) {
          throw new CancellationException("the calibration was cancelled");
        }
      }
    }
    return observation.measurement();
  }
}
