package io.heatkv.eval.run;

import io.heatkv.DevicePool;
import io.heatkv.GenerationRequest;
import io.heatkv.ImageGenerator;
import io.heatkv.cache.CachePolicy;
import io.heatkv.eval.Drawing;
import io.heatkv.family.PictureRequest;
import io.heatkv.image.Png;
import io.heatkv.image.PngText;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Draws the batches of an evaluation that aren't done, one at a time on each device. */
public final class Evaluator {
  /** Follows an evaluation and may end it; told by one thread at a time. */
  public interface Listener {
    /**
     * A drawing is done.
     *
     * @param drawings done by this process
     * @param count of this process
     * @param label of the policy and budget
     */
    void drawn(int drawings, int count, String label);

    /** What is to be said about a prompt, once for each text. */
    void warning(String text);

    /**
     * Asked between scales, by any thread; true ends the evaluation with a CancellationException.
     */
    boolean isCancelled();
  }

  private final DevicePool pool;
  private final Evaluation evaluation;
  private final EvaluationFolder folder;
  private final Listener listener;
  private final MetricSuite metrics;
  private final boolean divergence;
  private final Set<String> warned = new HashSet<>();
  // Those that have drawn a batch.
  private final Set<ImageGenerator> settled = ConcurrentHashMap.newKeySet();

  /**
   * @param pool of devices that share the batches; it stays open
   * @param metrics to measure
   * @param divergence whether the divergence of bits is measured, at twice the time
   */
  public Evaluator(
      DevicePool pool,
      Evaluation evaluation,
      EvaluationFolder folder,
      MetricSuite metrics,
      boolean divergence,
      Listener listener) {
    this.pool = pool;
    this.evaluation = evaluation;
    this.folder = folder;
    this.metrics = metrics;
    this.divergence = divergence;
    this.listener = listener;
  }

  /**
   * Draws and measures what isn't done yet.
   *
   * @param shard does the batches whose number leaves this remainder …
   * @param shards … when divided by this
   * @throws CancellationException if the listener ended it; what was done is kept
   * @throws io.heatkv.error.UserException if a file can't be written
   */
  public void run(int shard, int shards) {
    List<Integer> open =
        IntStream.range(0, evaluation.batches())
            .filter(i -> i % shards == shard)
            .boxed()
            .collect(Collectors.toCollection(ArrayList::new));
    open.removeAll(folder.done(evaluation.batches()));
    Count count = new Count(open.size() * (1 + evaluation.cells().size()));
    int processes = shards * sharing();
    pool.run(
        open.size(),
        (generator, task, isStopped) ->
            run(
                generator,
                open.get(task),
                processes,
                count,
                () -> isStopped.getAsBoolean() || listener.isCancelled()),
        _ -> {});
  }

  /**
   * Draws and measures one batch on the first device.
   *
   * @throws CancellationException if the listener ended it
   * @throws io.heatkv.error.UserException if a file can't be written
   */
  public void draw(int batch) {
    BatchResult _ =
        run(
            pool.first(),
            batch,
            1,
            new Count(1 + evaluation.cells().size()),
            listener::isCancelled);
  }

  /** How many models compute on the same device: all, where that is the processor. */
  private int sharing() {
    return pool.first().model().device().isCuda() ? 1 : pool.generators().size();
  }

  /** Drawings done of those to do. */
  private final class Count {
    private final int all;
    private int done;

    Count(int all) {
      this.all = all;
    }

    void plus(String label) {
      synchronized (listener) {
        done++;
        listener.drawn(done, all, label);
      }
    }
  }

  private BatchResult run(
      ImageGenerator generator,
      int batch,
      int processes,
      Count count,
      BooleanSupplier isCancelled) {
    int first = batch * evaluation.batch();
    int pictures = Math.min(evaluation.batch(), evaluation.pictures() - first);
    GenerationRequest request = request(first, pictures);
    try (BatchDrawer drawer =
        new BatchDrawer(generator.model(), request, isCancelled, divergence)) {
      warn(drawer.warnings());
      Drawing full = drawer.full();
      count.plus("full cache");
      keep(full, first, "full", "", isCancelled);
      List<CellResult> cells = new ArrayList<>();
      for (Cell cell : evaluation.cells()) {
        Drawing drawn = drawer.draw(cell.cache());
        keep(drawn, first, cell.policy(), cell.budget(), isCancelled);
        cells.add(measure(generator, cell, full, drawn));
        count.plus(cell.label());
      }
      CellResult reference =
          CellResult.of(
              "full",
              "",
              full,
              metrics.valuesOfFull(full),
              metrics.features(generator.model(), full.pictures()),
              List.of());
      BatchResult result =
          new BatchResult(first, pictures, !settled.add(generator), processes, reference, cells);
      result.write(folder.batch(batch));
      return result;
    }
  }

  private void warn(List<String> warnings) {
    synchronized (listener) {
      warnings.stream().filter(warned::add).forEach(listener::warning);
    }
  }

  /** One prompt for each picture, so that a batch may end between a prompt's seeds. */
  private GenerationRequest request(int first, int pictures) {
    return new GenerationRequest(
        IntStream.range(first, first + pictures)
            .mapToObj(i ->
                new PictureRequest(
                    evaluation.prompts().get(evaluation.promptOf(i)),
                    evaluation.seedOf(i),
                    evaluation.sampling()))
            .toList(),
        evaluation.grids(),
        CachePolicy.FULL);
  }

  private CellResult measure(ImageGenerator generator, Cell cell, Drawing full, Drawing drawn) {
    List<List<Double>> bits =
        IntStream.range(0, full.pictures().size())
            .mapToObj(i -> full.agreement(drawn, i).scales())
            .toList();
    return CellResult.of(
        cell.policy(),
        cell.budget(),
        drawn,
        metrics.values(full, drawn),
        metrics.features(generator.model(), drawn.pictures()),
        bits);
  }

  private void keep(
      Drawing drawn, int first, String policy, String budget, BooleanSupplier isCancelled) {
    for (int i = 0; i < drawn.pictures().size(); i++) {
      int picture = first + i;
      if (evaluation.isKept(picture)) {
        if (isCancelled.getAsBoolean()) {
          throw new CancellationException("the evaluation was cancelled");
        }
        Path file =
            folder.image(evaluation.promptOf(picture), evaluation.seedOf(picture), policy, budget);
        Png.write(
            file, drawn.pictures().get(i), List.of(PngText.parameters(drawn.prompts().get(i))));
      }
    }
  }
}
