package io.heatkv.spark;

import io.heatkv.Calibrator;
import io.heatkv.DevicePool;
import io.heatkv.error.UserException;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.ModelSource;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.profile.PromptMeasurement;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.CalibrationSetup;
import io.heatkv.schedule.LevelCosts;
import io.heatkv.schedule.PromptStatistics;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.io.Serializable;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.spark.SparkFiles;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.JavaSparkContext;
import org.jspecify.annotations.Nullable;

/**
 * Calibrates a model by the prompts of a table: the profile is that of {@code heatkv calibrate}
 * with the same prompts in the same order, to the digit, however they are spread.
 *
 * <p>Each prompt is a task of its own, and the driver writes down what it gave: an executor that is
 * lost loses the prompts that it was drawing, a driver none that were done. The driver needs the
 * model's files, too.
 *
 * @param model that is calibrated
 * @param scales such as {@code 1x1,2x2,4x4}; null for the model's own
 * @param sinkScales first scales, which are never removed
 * @param seed of the first prompt
 * @param peers whether to measure what other policies are calibrated by, too
 */
public record SparkCalibration(
    SparkModel model, @Nullable String scales, int sinkScales, long seed, boolean peers)
    implements Serializable {
  private static final int SINK_SCALES = 3;

  /** What {@code heatkv calibrate} does without options. */
  public static SparkCalibration of(SparkModel model) {
    return new SparkCalibration(model, null, SINK_SCALES, 0, true);
  }

  /** The same over other scales. */
  public SparkCalibration over(String otherScales, int otherSinkScales) {
    return new SparkCalibration(model, otherScales, otherSinkScales, seed, peers);
  }

  /** The same with another seed of the first prompt. */
  public SparkCalibration withSeed(long other) {
    return new SparkCalibration(model, scales, sinkScales, other, peers);
  }

  /**
   * A prompt and its seed.
   *
   * @param seed prompt {@code i} has the first one's plus {@code i}
   */
  private record Prompt(String text, long seed) implements Serializable {}

  /**
   * Measures the prompts and writes the profile; goes on from {@code NAME.partial} if that is
   * there.
   *
   * @param output file on the driver
   * @param listener follows it on the driver
   * @throws UserException if the model isn't found, here or on an executor, or a file can't be
   *     written
   * @throws java.util.concurrent.CancellationException if the listener ended it
   */
  public CalibrationProfile run(
      JavaSparkContext spark, List<String> prompts, Path output, Calibrator.Listener listener) {
    try (ModelDescription description =
        ModelSource.find(SparkModel.placed(model.name(), Path.of(SparkFiles.getRootDirectory())))) {
      prompts.forEach(description::requirePrompt);
      ScaleGrids grids = grids(description);
      CalibrationSetup setup =
          Calibrator.setup(description, grids, description.sampling(), sinkScales);
      SparkCalibration calibration = this;
      return Calibrator.collect(
          setup,
          prompts,
          seed,
          output,
          listener,
          (before, next) -> {
            List<Prompt> left = new ArrayList<>();
            for (int i = before; i < prompts.size(); i++) {
              left.add(new Prompt(prompts.get(i), seed + i));
            }
            Tasks.run(
                spark,
                left,
                resultBytes(setup),
                prompt -> calibration.measure(prompt.text, prompt.seed),
                bytes -> next.accept(read(bytes)),
                listener::isCancelled);
          });
    }
  }

  private ScaleGrids grids(ModelDescription description) {
    return scales == null ? description.grids() : ScaleGrids.parse(scales);
  }

  /** Masses of pairs of scales and costs of levels are what there is most of. */
  private static long resultBytes(CalibrationSetup setup) {
    long scales = setup.grids().count();
    long atoms = scales * setup.layers() * setup.heads();
    return Double.BYTES * atoms * (scales + LevelCosts.LEVELS + 1);
  }

  private byte[] measure(String prompt, long promptSeed) {
    TaskContext context = TaskContext.get();
    ExecutorModel opened = ExecutorModel.of(model, context);
    ModelDescription description = opened.generator().description();
    Calibrator calibrator =
        new Calibrator(
            DevicePool.of(List.of(opened.generator())),
            grids(description),
            description.sampling(),
            sinkScales,
            seed,
            peers);
    return write(
        calibrator.measure(opened.generator(), prompt, promptSeed, context::isInterrupted));
  }

  /** By arrays alone, which Java writes by itself. */
  private static byte[] write(PromptMeasurement measured) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
      out.writeObject(measured.masses());
      out.writeObject(measured.removal());
      out.writeObject(measured.levels());
      out.writeBoolean(measured.statistics().isPresent());
      if (measured.statistics().isPresent()) {
        PromptStatistics statistics = measured.statistics().get();
        out.writeObject(statistics.selectivity());
        out.writeObject(statistics.variance());
        out.writeObject(statistics.distance());
      }
    } catch (IOException e) {
      throw new UncheckedIOException("writing to memory can't fail", e);
    }
    return bytes.toByteArray();
  }

  private static PromptMeasurement read(byte[] bytes) {
    try (ObjectInputStream in = new ObjectInputStream(new ByteArrayInputStream(bytes))) {
      double[][][][] masses = (double[][][][]) in.readObject();
      double[][][] removal = (double[][][]) in.readObject();
      double[][][][] levels = (double[][][][]) in.readObject();
      Optional<PromptStatistics> statistics =
          in.readBoolean()
              ? Optional.of(
                  new PromptStatistics(
                      (double[][]) in.readObject(),
                      (double[][]) in.readObject(),
                      (double[]) in.readObject()))
              : Optional.empty();
      return new PromptMeasurement(masses, statistics, removal, levels);
    } catch (IOException | ClassNotFoundException e) {
      throw new IllegalStateException("an executor sent something else", e);
    }
  }
}
