package io.heatkv;

import io.heatkv.cache.KvShape;
import io.heatkv.calibrate.Observation;
import io.heatkv.error.UserException;
import io.heatkv.family.Conditioning;
import io.heatkv.family.PictureRequest;
import io.heatkv.load.ModelDescription;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.profile.PromptMeasurement;
import io.heatkv.profile.PromptSet;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.CalibrationSetup;
import io.heatkv.tensor.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/**
 * Calibrates a model: draws a few prompts with the full cache and sums up how much every scale
 * attends to each earlier one in each head (S-CAS).
 *
 * <p>Prompts are drawn one by one on each device, prompt {@code i} with seed {@code seed + i}, as
 * the reference does. After each the state is saved, so that a killed calibration goes on where it
 * was, with the same result. Sums are exact, so that devices of one kind give the same profile in
 * any number.
 */
public final class Calibrator {
  /** Follows a calibration and may end it. */
  public interface Listener {
    /**
     * @param done prompts done, those of an earlier run included
     */
    void promptDone(int done, int count);

    /**
     * Asked between scales, by any thread; true ends the calibration with a CancellationException.
     */
    boolean isCancelled();
  }

  private final DevicePool pool;
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
    this(DevicePool.of(List.of(generator)), grids, sampling, sinkScales, seed, true);
  }

  /**
   * As above on several devices.
   *
   * @param pool stays open
   * @param peers whether to measure what other policies are calibrated by too, which takes longer;
   *     without it the profile serves HeatKV alone
   */
  public Calibrator(
      DevicePool pool,
      ScaleGrids grids,
      SamplingOptions sampling,
      int sinkScales,
      long seed,
      boolean peers) {
    this.pool = pool;
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
    pool.first().model().requireDrawable(grids);
    return collect(
        setup(pool.first().description(), grids, sampling, sinkScales),
        prompts,
        seed,
        output,
        listener,
        (before, next) ->
            pool.run(
                prompts.size() - before,
                (generator, task, isStopped) ->
                    measure(
                        generator,
                        prompts.get(before + task),
                        seed + before + task,
                        () -> isStopped.getAsBoolean() || listener.isCancelled()),
                next));
  }

  /** Where prompts are measured. */
  @FunctionalInterface
  public interface Source {
    /**
     * Measures the prompts from one on.
     *
     * @param before prompts that are done already
     * @param next takes each measurement, in the order of the prompts
     */
    void measure(int before, Consumer<PromptMeasurement> next);
  }

  /**
   * Sums up what others measure, such as the machines of a cluster, as {@link #calibrate} does.
   *
   * @param setup see {@link #setup}
   * @param seed of the first prompt
   * @throws CancellationException if the listener ended it; what was done is kept
   * @throws UserException if the partial file is of another calibration, or can't be written
   */
  public static CalibrationProfile collect(
      CalibrationSetup setup,
      List<String> prompts,
      long seed,
      Path output,
      Listener listener,
      Source source) {
    Path partial = partial(output);
    PromptSet set = PromptSet.of(prompts, seed);
    Journal journal =
        new Journal(CalibrationProfile.resume(partial, setup, set), partial, listener);
    source.measure(journal.profile.promptsDone(), journal::add);
    try {
      Files.move(partial, output, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw new UserException(
          output + ": can't be written (" + e.getMessage() + "); the result is in " + partial, e);
    }
    return journal.profile;
  }

  /** The state, which is saved after every prompt. */
  private static final class Journal {
    private final Path partial;
    private final Listener listener;
    private CalibrationProfile profile;

    Journal(CalibrationProfile profile, Path partial, Listener listener) {
      this.profile = profile;
      this.partial = partial;
      this.listener = listener;
      listener.promptDone(profile.promptsDone(), profile.prompts());
    }

    void add(PromptMeasurement measured) {
      profile = profile.plus(measured);
      profile.write(partial);
      listener.promptDone(profile.promptsDone(), profile.prompts());
    }
  }

  /** Where the state of an unfinished calibration lies. */
  public static Path partial(Path output) {
    return output.resolveSibling(output.getFileName() + ".partial");
  }

  /** What a calibration is of. */
  public static CalibrationSetup setup(
      ModelDescription model, ScaleGrids grids, SamplingOptions sampling, int sinkScales) {
    KvShape shape = model.kvShape(DType.F32, grids);
    return new CalibrationSetup(
        model.name(),
        model.fingerprint(),
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
   * @param generator one of the pool's
   * @param isCancelled asked between scales
   * @throws CancellationException if it was cancelled
   */
  public PromptMeasurement measure(
      ImageGenerator generator, String prompt, long promptSeed, BooleanSupplier isCancelled) {
    Observation observation = new Observation(sinkScales, peers);
    GenerationRequest request =
        new GenerationRequest(
            List.of(new PictureRequest(prompt, promptSeed, sampling)), grids, observation);
    try (Conditioning text = generator.model().encode(request.pictures(), sampling.isGuided());
        Generation generation =
            Generation.open(generator.model(), text, request, null, observation)) {
      while (!generation.isDone()) {
        generation.step();
        if (isCancelled.getAsBoolean()) {
          throw new CancellationException("the calibration was cancelled");
        }
      }
    }
    return observation.measurement();
  }
}
