package io.heatkv.cli.commands;

import io.heatkv.DevicePool;
import io.heatkv.GenerationRequest;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cli.console.Console;
import io.heatkv.cli.console.EvaluationProgress;
import io.heatkv.cli.console.Interruption;
import io.heatkv.cli.console.Outputs;
import io.heatkv.cli.options.EvaluationOptions;
import io.heatkv.cli.options.MemoryCheck;
import io.heatkv.cli.options.ModelChoice;
import io.heatkv.cli.options.ModelOptions;
import io.heatkv.cli.options.PictureSize;
import io.heatkv.cli.options.PromptSources;
import io.heatkv.cli.options.Shard;
import io.heatkv.cli.report.Json;
import io.heatkv.error.UserException;
import io.heatkv.eval.chart.HeatMap;
import io.heatkv.eval.report.Illustration;
import io.heatkv.eval.report.Report;
import io.heatkv.eval.run.Evaluation;
import io.heatkv.eval.run.EvaluationFolder;
import io.heatkv.eval.run.EvaluationFolder.Existing;
import io.heatkv.eval.run.EvaluationInputs;
import io.heatkv.eval.run.EvaluationSettings;
import io.heatkv.eval.run.Evaluator;
import io.heatkv.eval.run.MetricSuite;
import io.heatkv.load.ModelProfile;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.schedule.CacheSchedule;
import io.heatkv.tensor.libtorch.LibTorch;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Compares cache policies over many prompts and writes a report. */
@Command(
    name = "evaluate",
    description = {
      "Draws prompts with the full KV cache and with every policy under every budget, with the same"
          + " seeds, and writes pictures, tables and one page that shows how near they are.",
      "An evaluation that was ended goes on with the same command and --resume; at most the batch"
          + " in progress is drawn again."
    },
    footer = {
      "  heatkv evaluate --first 8 -o report",
      "  heatkv evaluate --prompts a.txt --policies heatkv,scalekv --seeds 2 -o report",
      "  heatkv evaluate --config eval/paper-infinity-2b.yaml --model FOLDER \\",
      "      --prompts captions_val2017.json -o report"
    })
public final class EvaluateCommand implements Callable<Integer> {
  private final Console console;

  @Mixin private final PromptSources sources = new PromptSources();
  @Mixin private final EvaluationOptions options = new EvaluationOptions();

  @Option(
      names = {"-o", "--output"},
      required = true,
      paramLabel = "FOLDER",
      description = "Folder of the report; it is made. With --config a folder in it for each set.")
  private Path output = Path.of("");

  @Option(
      names = "--resume",
      description = "Go on with an evaluation of the same settings in the folder.")
  private boolean resume;

  @Option(names = "--overwrite", description = "Remove an evaluation in the folder and begin anew.")
  private boolean overwrite;

  @Option(
      names = "--shard",
      paramLabel = "I/N",
      description =
          "Draw only the I-th of N shares of the batches into the folder, which N processes may"
              + " fill at once. The one that finds all done writes the report.")
  private @Nullable String shard;

  @Mixin private final ModelOptions model = new ModelOptions();

  @Option(
      names = {"-q", "--quiet"},
      description = "Print nothing but errors and warnings.")
  private boolean quiet;

  @Option(names = "--json", description = "Print the summary as JSON.")
  private boolean json;

  public EvaluateCommand(Console console) {
    this.console = console;
  }

  /**
   * An evaluation and where it goes.
   *
   * @param source preset and prompts
   */
  private record Task(
      PromptSources.Source source,
      Evaluation evaluation,
      EvaluationFolder folder,
      PictureSize size) {
    boolean isDone() {
      return folder.done(evaluation.batches()).size() == evaluation.batches();
    }
  }

  @Override
  public Integer call() {
    Shard share = Shard.parse(shard);
    Existing existing = existing(share);
    try (ModelChoice choice = model.chooseShared()) {
      List<Task> tasks = tasks(choice);
      // Loaded once, before anything is written: wrong files are refused.
      try (MetricSuite metrics = metrics(choice, tasks.getFirst().size())) {
        evaluate(choice, tasks, metrics, share, existing);
      }
    }
    return 0;
  }

  /** What is to be drawn; all pictures have one size, since a config has one resolution. */
  private List<Task> tasks(ModelChoice choice) {
    List<Task> tasks = new ArrayList<>();
    for (PromptSources.Source source : sources.all(console)) {
      Evaluation evaluation = options.evaluation(choice, source.preset(), source.file());
      Path folder = sources.config().isPresent() ? output.resolve(source.preset().name()) : output;
      PictureSize size = PictureSize.of(choice, evaluation.grids());
      size.requireComparable();
      MemoryCheck.host(choice, fullest(evaluation));
      tasks.add(new Task(source, evaluation, new EvaluationFolder(folder), size));
    }
    return tasks;
  }

  private void evaluate(
      ModelChoice choice, List<Task> tasks, MetricSuite metrics, Shard share, Existing existing) {
    if (sources.config().isPresent()) {
      create(output);
    }
    try (Interruption interruption = new Interruption()) {
      LibTorch library = choice.library();
      Map<Task, EvaluationSettings> settings = new LinkedHashMap<>();
      for (Task task : tasks) {
        if (!task.isDone()) {
          MemoryCheck.device(choice, library, fullest(task.evaluation()));
        }
        EvaluationSettings own = inputs(choice, library).settings(task.evaluation());
        task.folder().open(own, task.evaluation().batches(), existing);
        Outputs.requireWritable(task.folder().file("settings.json"), imageBytes(task));
        settings.put(task, own);
      }
      if (!tasks.stream().allMatch(Task::isDone)) {
        int most = tasks.stream().mapToInt(task -> task.evaluation().batches()).max().orElseThrow();
        try (DevicePool pool = choice.load(library, most)) {
          for (Task task : tasks) {
            draw(pool, task, metrics, share, interruption);
          }
        }
      }
      settings.forEach((task, own) -> report(choice, task, own, library));
    }
  }

  private EvaluationInputs inputs(ModelChoice choice, LibTorch library) {
    return new EvaluationInputs(
        choice.description(),
        choice.device(),
        choice.dtype(),
        options.profile(choice),
        options.metrics(),
        options.divergence(),
        library.version());
  }

  private MetricSuite metrics(ModelChoice choice, PictureSize size) {
    return new MetricSuite(
        options.metrics(),
        size.width(),
        size.height(),
        options.divergence(),
        choice.description().hasEncoder());
  }

  private Existing existing(Shard share) {
    if (overwrite && (resume || share.isPart())) {
      throw new UserException(
          "--overwrite contradicts "
              + (resume ? "--resume" : "--shard, which fills a folder with others")
              + "; leave out one");
    }
    return overwrite
        ? Existing.OVERWRITE
        : resume || share.isPart() ? Existing.RESUME : Existing.REFUSE;
  }

  private static void create(Path folder) {
    try {
      Files.createDirectories(folder);
    } catch (IOException e) {
      throw new UserException(
          "output " + folder + " can't be made (" + e.getMessage() + "); name another folder", e);
    }
  }

  private void draw(
      DevicePool pool, Task task, MetricSuite metrics, Shard share, Interruption interruption) {
    if (!quiet) {
      task.evaluation().absent().forEach(line -> console.message("left out: " + line));
    }
    try {
      new Evaluator(
              pool,
              task.evaluation(),
              task.folder(),
              metrics,
              options.divergence(),
              new EvaluationProgress(console, quiet, interruption))
          .run(share.index(), share.count());
    } catch (CancellationException e) {
      console.message(
          "%d of %d batches are kept in %s; go on with the same command and --resume"
              .formatted(
                  task.folder().done(task.evaluation().batches()).size(),
                  task.evaluation().batches(),
                  task.folder().root()));
      throw e;
    }
  }

  /** The fullest moment: a batch with the full cache. */
  private static GenerationRequest fullest(Evaluation evaluation) {
    int pictures = Math.min(evaluation.batch(), evaluation.pictures());
    return GenerationRequest.of(
        Collections.nCopies(pictures, "a"),
        Optional.empty(),
        1,
        evaluation.seed(),
        evaluation.grids(),
        evaluation.sampling(),
        CachePolicy.FULL);
  }

  /** What the pictures that are kept may take. */
  private static long imageBytes(Task task) {
    Evaluation evaluation = task.evaluation();
    long kept = Math.min(evaluation.images(), evaluation.prompts().size());
    return 3L
        * task.size().width()
        * task.size().height()
        * kept
        * evaluation.seeds()
        * (evaluation.cells().size() + 1);
  }

  private void report(
      ModelChoice choice, Task task, EvaluationSettings settings, LibTorch library) {
    int all = task.evaluation().batches();
    int done = task.folder().done(all).size();
    if (done < all) {
      if (!quiet) {
        console.print(
            "%s: %d of %d batches are done; the others' processes or --resume do the rest"
                .formatted(task.folder().root(), done, all));
      }
      return;
    }
    Report report =
        Report.of(
            task.evaluation(),
            settings,
            task.folder(),
            task.source().preset(),
            heatMaps(choice, task.evaluation()),
            library);
    report.write();
    if (json) {
      console.print(Json.pretty(report.tables().toJson()));
    } else if (!quiet) {
      console.print(report.toText());
    }
  }

  /** What HeatKV's schedule keeps, where it was drawn; at the middle of its budgets. */
  private List<Illustration> heatMaps(ModelChoice choice, Evaluation evaluation) {
    List<CacheSchedule> schedules =
        evaluation.cells().stream().flatMap(cell -> cell.cache().schedule().stream()).toList();
    if (schedules.isEmpty()) {
      return List.of();
    }
    CacheSchedule schedule = schedules.get(schedules.size() / 2);
    CalibrationProfile profile =
        ModelProfile.find(choice.description(), evaluation.grids(), options.profile(choice));
    try {
      HeatMap map = new HeatMap(profile.setup().model(), profile, Optional.of(schedule));
      return List.of(
          new Illustration(
              "Who attends to what, and what HeatKV keeps of it",
              "Attention of later scales to each source scale in every head (S-CAS), and which"
                  + " heads the schedule of budget "
                  + schedule.budget()
                  + " still has at each target scale.",
              map.png()));
    } catch (UserException e) {
      console.message("the page has no heat map: " + e.getMessage());
      return List.of();
    }
  }
}
