package io.heatkv.cli.commands;

import io.heatkv.Generation;
import io.heatkv.GenerationListener;
import io.heatkv.GenerationRequest;
import io.heatkv.ImageGenerator;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cli.console.Console;
import io.heatkv.cli.console.Interruption;
import io.heatkv.cli.console.OutputFiles;
import io.heatkv.cli.console.ScaleProgress;
import io.heatkv.cli.options.ClassOptions;
import io.heatkv.cli.options.MemoryCheck;
import io.heatkv.cli.options.ModelChoice;
import io.heatkv.cli.options.ModelOptions;
import io.heatkv.cli.options.PictureSize;
import io.heatkv.cli.options.PolicyOptions;
import io.heatkv.cli.options.SamplingChoices;
import io.heatkv.cli.options.ScaleOptions;
import io.heatkv.cli.report.ComparisonReport;
import io.heatkv.cli.report.Json;
import io.heatkv.cli.report.KvUse;
import io.heatkv.error.UserException;
import io.heatkv.eval.Drawing;
import io.heatkv.eval.run.Cell;
import io.heatkv.image.PngText;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.libtorch.LibTorch;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Draws one prompt with the full cache and under budgets, side by side. */
@Command(
    name = "compare",
    description = {
      "Draws one prompt with the full KV cache and under budgets, with the same seed, into one"
          + " labelled picture, and tells how near they are.",
      "PSNR is over all channels, SSIM over luma; equal bits are the share of the bits of each"
          + " scale that a run has in common with the full cache's, each scale drawn from the run's"
          + " own earlier ones."
    },
    footer = {
      "  heatkv compare \"a red apple, noto style emoji\" --seed 7 -o compare.png",
      "  heatkv compare \"a cat, fluent style emoji\" --budgets 0.5,10%%,2MiB --json",
      "  heatkv compare --class macaw --model FOLDER",
      "  heatkv compare \"a blue car\" --budgets 0.2 --policy heatkv,scalekv,snapkv"
    })
public final class CompareCommand implements Callable<Integer> {
  private static final int MOST_PICTURES = 50;

  private final Console console;

  @Parameters(paramLabel = "PROMPT", arity = "0..1", description = "What to draw.")
  private @Nullable String prompt;

  @Mixin private final ClassOptions classes = new ClassOptions();

  @Option(
      names = "--budgets",
      split = ",",
      paramLabel = "BUDGET",
      description =
          "Ratios of the full cache such as 0.1 or 10%%, or sizes such as 4MiB for one picture"
              + " with guidance. Default: 0.5,0.2,0.1,0.05.")
  private List<String> budgets = List.of("0.5", "0.2", "0.1", "0.05");

  @Mixin private final PolicyOptions policies = new PolicyOptions();

  @Option(
      names = {"-o", "--output"},
      paramLabel = "NAME.png",
      description = "File to write. Default: ${DEFAULT-VALUE}.")
  private Path output = Path.of("compare.png");

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "Number that decides the draws, 0 or more. Default: another at each run.")
  private @Nullable Long seed;

  @Mixin private final ScaleOptions scales = new ScaleOptions();
  @Mixin private final SamplingChoices sampling = new SamplingChoices();
  @Mixin private final ModelOptions model = new ModelOptions();

  @Option(
      names = {"-q", "--quiet"},
      description = "Show no progress.")
  private boolean quiet;

  @Option(names = "--json", description = "Print the result as JSON.")
  private boolean json;

  public CompareCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    if (seed != null && seed < 0) {
      throw new UserException("seed " + seed + " is out of range; expected 0 or more");
    }
    String drawn = drawn();
    try (ModelChoice choice = model.choose()) {
      classes.require(choice.description(), prompt != null);
      choice.description().requirePrompt(drawn);
      compare(choice, drawn);
    }
    return 0;
  }

  /** The prompt or class. */
  private String drawn() {
    if (!classes.all().isEmpty()) {
      List<String> named = classes.instead(prompt != null);
      if (named.size() > 1) {
        throw new UserException(
            "%d classes are named; expected one, which is drawn several times"
                .formatted(named.size()));
      }
      return named.getFirst();
    }
    if (prompt == null) {
      throw new UserException(
          "no prompt; say what to draw, such as \"a red apple, noto style emoji\"");
    }
    return prompt;
  }

  private void compare(ModelChoice choice, String drawn) {
    ScaleGrids grids = scales.grids(choice.description());
    PictureSize size = PictureSize.of(choice, grids);
    size.requireComparable();
    List<Cell> cells = cells(choice, grids);
    new OutputFiles(output, 1).requireWritable(sheetBytes(size, cells.size() + 1));
    List<GenerationRequest> requests = requests(choice, grids, drawn, cells);
    MemoryCheck.host(choice, requests.getFirst());
    try (Interruption interruption = new Interruption()) {
      LibTorch library = choice.library();
      MemoryCheck.device(choice, library, requests.getFirst());
      try (ImageGenerator engine = choice.load(library)) {
        List<ComparisonReport.Row> rows = new ArrayList<>();
        for (int i = 0; i < requests.size(); i++) {
          GenerationRequest request = requests.get(i);
          String label = i == 0 ? "full cache" : label(cells, cells.get(i - 1));
          Drawing drawing;
          try (Generation generation = engine.open(request)) {
            drawing = Drawing.of(generation, follower(label, grids, interruption));
          }
          drawing.result().warnings().stream()
              .filter(_ -> rows.isEmpty())
              .forEach(warning -> console.message("warning: " + warning));
          KvUse kv =
              KvUse.planned(request, engine.kvShape(request)).measured(drawing.result().kv(), 1);
          rows.add(new ComparisonReport.Row(label, request.policy().name(), drawing, kv));
        }
        ComparisonReport report =
            new ComparisonReport(choice, library.version(), requests.getFirst(), output, rows);
        interruption.write(
            output, report.sheet(), List.of(PngText.heatkv(Json.line(report.toJson()))));
        console.print(json ? Json.pretty(report.toJson()) : report.toText());
      }
    }
  }

  /** What is compared with the full cache, which is drawn anyway. */
  private List<Cell> cells(ModelChoice choice, ScaleGrids grids) {
    List<Cell> cells =
        policies.cells(budgets, choice, grids).stream()
            .filter(cell -> !cell.policy().equals(CachePolicy.FULL.name()))
            .toList();
    if (cells.isEmpty()) {
      throw new UserException(
          "there is nothing to compare with the full cache; name another policy than full");
    }
    if (cells.size() > MOST_PICTURES) {
      throw new UserException(
          "%d policies under budgets are out of range; expected 1 to %d"
              .formatted(cells.size(), MOST_PICTURES));
    }
    return cells;
  }

  /** Bytes that the sheet may take. */
  private static long sheetBytes(PictureSize size, int pictures) {
    // Captions take less than half as much again.
    return 3L * (size.height() + 16) * (size.width() + 16) * pictures * 3 / 2;
  }

  /** The full cache first. */
  private List<GenerationRequest> requests(
      ModelChoice choice, ScaleGrids grids, String text, List<Cell> cells) {
    SamplingOptions options = sampling.with(choice.description(), grids);
    long drawn = seed != null ? seed : ThreadLocalRandom.current().nextLong(1L << 32);
    return Stream.concat(Stream.of(CachePolicy.FULL), cells.stream().map(Cell::cache))
        .map(policy ->
            GenerationRequest.of(List.of(text), Optional.empty(), 1, drawn, grids, options, policy))
        .toList();
  }

  /** Names a picture by its budget, and by its policy where there are several. */
  private static String label(List<Cell> cells, Cell cell) {
    return cells.stream().map(Cell::policy).distinct().count() == 1
        ? "budget " + cell.budget()
        : cell.label();
  }

  private GenerationListener follower(String label, ScaleGrids grids, Interruption interruption) {
    Optional<ScaleProgress> progress =
        quiet ? Optional.empty() : Optional.of(new ScaleProgress(console, List.of(label), grids));
    return new GenerationListener() {
      @Override
      public void scaleDone(int scale, int count, Generation generation) {
        progress.ifPresent(shown -> shown.done(0, scale));
      }

      @Override
      public boolean isCancelled() {
        return interruption.isRequested();
      }
    };
  }
}
