package io.heatkv.spark;

import io.heatkv.DevicePool;
import io.heatkv.ImageGenerator;
import io.heatkv.cache.KvStorage;
import io.heatkv.error.UserException;
import io.heatkv.eval.config.Preset;
import io.heatkv.eval.report.Report;
import io.heatkv.eval.run.Cells;
import io.heatkv.eval.run.Evaluation;
import io.heatkv.eval.run.EvaluationFolder;
import io.heatkv.eval.run.EvaluationFolder.Existing;
import io.heatkv.eval.run.EvaluationInputs;
import io.heatkv.eval.run.EvaluationSettings;
import io.heatkv.eval.run.Evaluator;
import io.heatkv.eval.run.MetricSuite;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.ModelProfile;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.LevelSet;
import io.heatkv.tensor.DType;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.io.Serializable;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.apache.spark.SparkFiles;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.JavaSparkContext;
import org.jspecify.annotations.Nullable;

/**
 * Compares policies over many prompts, as {@code heatkv evaluate} does: each batch is a task, and
 * its results and pictures go into the driver's report folder as soon as it is done. A run that was
 * ended goes on in the same folder. The driver has the model and libtorch, too.
 *
 * @param model that draws
 * @param policies to compare with the full cache
 * @param budgets to compare under
 * @param scales such as {@code 1x1,2x2,4x4}; null for the model's own
 * @param seeds pictures of each prompt
 * @param seed of the first picture
 * @param batch pictures of a pass
 * @param images prompts, the first ones, whose pictures are kept
 * @param divergence whether the divergence of bits is measured, at twice the time
 */
public record SparkEvaluation(
    SparkModel model,
    List<String> policies,
    List<String> budgets,
    @Nullable String scales,
    int seeds,
    long seed,
    int batch,
    int images,
    boolean divergence)
    implements Serializable {
  // Numbers of all pictures, and some pictures.
  private static final long RESULT_BYTES = 8L << 20;

  /**
   * @throws UserException if a number is out of range
   */
  public SparkEvaluation {
    policies = List.copyOf(policies);
    budgets = List.copyOf(budgets);
    if (seeds < 1 || batch < 1 || images < 0 || seed < 0) {
      throw new UserException(
          "seeds %d, batch %d, images %d or seed %d is out of range; expected 1, 1, 0 and 0 or more"
              .formatted(seeds, batch, images, seed));
    }
  }

  /** One picture of each prompt, with what {@code heatkv evaluate} does without options. */
  public static SparkEvaluation of(SparkModel model, List<String> policies, List<String> budgets) {
    return new SparkEvaluation(model, policies, budgets, null, 1, 0, 1, Preset.IMAGES, true);
  }

  /** The same over other scales. */
  public SparkEvaluation over(String otherScales) {
    return new SparkEvaluation(
        model, policies, budgets, otherScales, seeds, seed, batch, images, divergence);
  }

  /**
   * Draws what isn't done yet, then writes the report.
   *
   * @param folder of the report, on the driver
   * @param isCancelled asked now and then; what is done is kept
   * @throws UserException if something can't be drawn or written, or the folder holds another
   *     evaluation
   * @throws java.util.concurrent.CancellationException if it was cancelled
   */
  public Report run(
      JavaSparkContext spark, List<String> prompts, Path folder, BooleanSupplier isCancelled) {
    // Its networks tell the settings; the report computes with its libtorch.
    try (ImageGenerator generator =
        ExecutorModel.open(
            model, model.device(List.of()), 0, Path.of(SparkFiles.getRootDirectory()))) {
      ModelDescription description = generator.description();
      prompts.forEach(description::requirePrompt);
      Evaluation evaluation = evaluation(generator, prompts);
      EvaluationSettings settings =
          new EvaluationInputs(
                  description,
                  generator.model().device(),
                  generator.model().dtype(),
                  description.profile(),
                  Map.of(),
                  divergence,
                  library(generator))
              .settings(evaluation);
      EvaluationFolder report = new EvaluationFolder(folder);
      report.open(settings, evaluation.batches(), Existing.RESUME);
      List<Integer> open = new ArrayList<>();
      List<Integer> done = report.done(evaluation.batches());
      for (int i = 0; i < evaluation.batches(); i++) {
        if (!done.contains(i)) {
          open.add(i);
        }
      }
      SparkEvaluation job = this;
      List<String> all = List.copyOf(prompts);
      Tasks.run(
          spark,
          open,
          RESULT_BYTES,
          number -> job.draw(all, number),
          bytes -> keep(bytes, folder),
          isCancelled);
      Report written =
          Report.of(
              evaluation,
              settings,
              report,
              Preset.standard(),
              List.of(),
              generator.model().backend());
      written.write();
      return written;
    }
  }

  private static String library(ImageGenerator generator) {
    return generator.model().backend() instanceof io.heatkv.tensor.libtorch.LibTorch library
        ? library.version()
        : generator.model().backend().description();
  }

  Evaluation evaluation(ImageGenerator generator, List<String> prompts) {
    ModelDescription description = generator.description();
    DType dtype = generator.model().dtype();
    ScaleGrids grids = scales == null ? description.grids() : ScaleGrids.parse(scales);
    Cells cells =
        Cells.of(
            policies,
            budgets,
            description.kvShape(dtype, grids),
            Optional.empty(),
            () -> ModelProfile.find(description, grids, Optional.empty()),
            LevelSet.ALL,
            KvStorage.HALF);
    return new Evaluation(
        prompts,
        seeds,
        seed,
        grids,
        description.sampling(),
        cells.cells(),
        cells.absent(),
        batch,
        images);
  }

  /** Draws a batch into a folder of its own; the result is its files. */
  private byte[] draw(List<String> prompts, int number) {
    TaskContext context = TaskContext.get();
    ImageGenerator generator = ExecutorModel.of(model, context).generator();
    Evaluation evaluation = evaluation(generator, prompts);
    int edge = generator.description().pixelsPerToken();
    try (Scratch scratch = new Scratch();
        MetricSuite metrics =
            new MetricSuite(
                Map.of(),
                edge * evaluation.grids().last().width(),
                edge * evaluation.grids().last().height(),
                divergence,
                generator.description().hasEncoder())) {
      new Evaluator(
              DevicePool.of(List.of(generator)),
              evaluation,
              new EvaluationFolder(scratch.folder),
              metrics,
              divergence,
              new UntilKilled(context))
          .draw(number);
      return scratch.files();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private record UntilKilled(TaskContext context) implements Evaluator.Listener {
    @Override
    public void drawn(int drawings, int count, String label) {}

    @Override
    public void warning(String text) {}

    @Override
    public boolean isCancelled() {
      return context.isInterrupted();
    }
  }

  /** The folder of an evaluation until its files are read. */
  private static final class Scratch implements AutoCloseable {
    private final Path folder;

    Scratch() throws IOException {
      folder = Files.createTempDirectory("heatkv-batch");
      Files.createDirectory(folder.resolve("batches"));
      Files.createDirectory(folder.resolve("images"));
    }

    private List<Path> list() throws IOException {
      try (Stream<Path> files = Files.walk(folder)) {
        return files.filter(Files::isRegularFile).toList();
      }
    }

    byte[] files() throws IOException {
      TreeMap<String, byte[]> content = new TreeMap<>();
      for (Path file : list()) {
        content.put(folder.relativize(file).toString(), Files.readAllBytes(file));
      }
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
        out.writeObject(content);
      }
      return bytes.toByteArray();
    }

    @Override
    public void close() throws IOException {
      for (Path file : list()) {
        Files.delete(file);
      }
      for (String name : List.of("batches", "images", "")) {
        Files.delete(folder.resolve(name));
      }
    }
  }

  /** Writes a batch's files, the pictures first: its numbers say that it is done. */
  @SuppressWarnings("unchecked")
  private static void keep(byte[] bytes, Path folder) {
    try (ObjectInputStream in = new ObjectInputStream(new ByteArrayInputStream(bytes))) {
      TreeMap<String, byte[]> content = (TreeMap<String, byte[]>) in.readObject();
      for (Map.Entry<String, byte[]> file : content.descendingMap().entrySet()) {
        Path target = folder.resolve(file.getKey());
        Path temporary = target.resolveSibling(".heatkv-" + target.getFileName() + ".tmp");
        Files.write(temporary, file.getValue());
        Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
      }
    } catch (IOException e) {
      throw new UserException(folder + " can't be written (" + e.getMessage() + ")", e);
    } catch (ClassNotFoundException e) {
      throw new IllegalStateException("an executor sent something else", e);
    }
  }
}
