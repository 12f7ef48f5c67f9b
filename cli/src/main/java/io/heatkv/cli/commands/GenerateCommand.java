package io.heatkv.cli.commands;

import io.heatkv.DevicePool;
import io.heatkv.Generation;
import io.heatkv.GenerationListener;
import io.heatkv.GenerationRequest;
import io.heatkv.GenerationResult;
import io.heatkv.ImageGenerator;
import io.heatkv.Picture;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cli.console.Console;
import io.heatkv.cli.console.Interruption;
import io.heatkv.cli.console.OutputFiles;
import io.heatkv.cli.console.ScaleProgress;
import io.heatkv.cli.options.CacheOptions;
import io.heatkv.cli.options.MemoryCheck;
import io.heatkv.cli.options.ModelChoice;
import io.heatkv.cli.options.ModelOptions;
import io.heatkv.cli.options.PromptOptions;
import io.heatkv.cli.options.SamplingChoices;
import io.heatkv.cli.options.ScaleOptions;
import io.heatkv.cli.options.WarmUp;
import io.heatkv.cli.report.GenerationReport;
import io.heatkv.cli.report.Json;
import io.heatkv.cli.report.KvUse;
import io.heatkv.cli.report.PictureTexts;
import io.heatkv.error.UserException;
import io.heatkv.family.PictureRequest;
import io.heatkv.image.PngImage;
import io.heatkv.image.PngText;
import io.heatkv.load.MemoryEstimate;
import io.heatkv.resource.AvailableMemory;
import io.heatkv.sample.ImageSeeds;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.libtorch.LibTorch;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Draws pictures of prompts. */
@Command(
    name = "generate",
    description = "Draws pictures of prompts.",
    footer = {
      "  heatkv generate \"a red apple, noto style emoji\" -o apple.png --seed 7",
      "  heatkv generate \"a cat, fluent style emoji\" -o cat.png --count 4",
      "  heatkv generate --prompts prompts.txt -o picture.png --json",
      "  heatkv generate \"a cat, fluent style emoji\" -o cat.png --kv-budget 0.1",
      "  heatkv generate \"a bison, flat style emoji\" --cfg 1,2,3 --save-scales",
      "  heatkv generate --class macaw --class 207 --model FOLDER -o picture.png",
      "",
      "One picture is written to the output file; of several, NAME.png becomes",
      "NAME-1.png, NAME-2.png, … in the order of the prompts. Each has its own seed,",
      "which is written into it and draws it alone."
    })
public final class GenerateCommand implements Callable<Integer> {
  private final Console console;

  @Mixin private final PromptOptions prompts = new PromptOptions();

  @Option(
      names = {"-o", "--output"},
      paramLabel = "NAME.png",
      description = "File to write. Default: ${DEFAULT-VALUE}.")
  private Path output = Path.of("heatkv.png");

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "Number that decides the draws, 0 or more. Default: another at each run.")
  private @Nullable Long seed;

  @Option(
      names = "--count",
      paramLabel = "N",
      description = "Pictures of each prompt. Default: ${DEFAULT-VALUE}.")
  private int count = 1;

  @Option(
      names = "--negative-prompt",
      paramLabel = "TEXT",
      description = "What guidance leads away from. Default: what the model learned for no prompt.")
  private @Nullable String negativePrompt;

  @Option(
      names = "--batch",
      paramLabel = "N",
      description =
          "Pictures drawn in one pass, which takes N times the memory. Default: ${DEFAULT-VALUE}.")
  private int batch = 1;

  @Mixin private final ScaleOptions scales = new ScaleOptions();
  @Mixin private final SamplingChoices sampling = new SamplingChoices();
  @Mixin private final CacheOptions cache = new CacheOptions();
  @Mixin private final ModelOptions model = new ModelOptions();

  @Option(
      names = "--save-scales",
      description = "Also write what the picture shows after every scale: NAME.scale-01.png, …")
  private boolean saveScales;

  @Option(names = "--no-metadata", description = "Leave prompt and settings out of the files.")
  private boolean noMetadata;

  @Option(
      names = {"-q", "--quiet"},
      description = "Print nothing but errors and warnings.")
  private boolean quiet;

  @Option(names = "--json", description = "Print the result as JSON.")
  private boolean json;

  public GenerateCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    List<String> texts = prompts.all();
    requireInRange(texts.size());
    try (ModelChoice choice = model.chooseShared()) {
      prompts.requireOf(choice.description(), texts);
      Optional.ofNullable(negativePrompt).ifPresent(choice.description()::requirePrompt);
      draw(choice, texts);
    }
    return 0;
  }

  private void draw(ModelChoice choice, List<String> texts) {
    ScaleGrids grids = scales.grids(choice.description());
    int pictures = count * texts.size();
    OutputFiles files = new OutputFiles(output, pictures);
    files.requireWritable(largestOutput(pictures, choice, grids));
    List<GenerationRequest> requests = requests(texts, choice, grids);
    if (!choice.device().isCuda()) {
      MemoryEstimate memory = MemoryCheck.all(choice, requests.getFirst());
      memory.requireAtMost(AvailableMemory.bytes());
      if (!quiet && memory.isLarge()) {
        console.message("memory: about " + memory);
      }
    }
    WarmUp.start(choice.description());
    try (Interruption interruption = new Interruption()) {
      long start = System.nanoTime();
      Predicate<LibTorch> memory = MemoryCheck.device(choice, requests.getFirst());
      LibTorch library = choice.library();
      boolean hasRoom = memory.test(library);
      // On the CPU there is nothing that a first pass waits for.
      Optional<GenerationRequest> first = Optional.of(requests.getFirst()).filter(_ -> hasRoom);
      try (DevicePool pool = choice.load(library, requests.size(), first)) {
        GenerationReport report =
            new GenerationReport(choice, library, pool, (System.nanoTime() - start) / 1e6);
        draw(pool, passes(requests, files), interruption, report);
        if (json) {
          console.print(Json.pretty(report.toJson()));
        }
      }
    }
  }

  private void requireInRange(int prompts) {
    if (count < 1 || (long) count * prompts > 100_000) {
      throw new UserException(
          "count " + count + " is out of range; expected 1 or more, at most 100000 pictures");
    }
    if (batch < 1 || batch > 1024) {
      throw new UserException("batch " + batch + " is out of range; expected 1 to 1024 pictures");
    }
    if (seed != null && seed < 0) {
      throw new UserException("seed " + seed + " is out of range; expected 0 or more");
    }
    if (negativePrompt != null && negativePrompt.isBlank()) {
      throw new UserException("the negative prompt is blank; expected a text, or leave it out");
    }
  }

  /** One request for each pass. */
  private List<GenerationRequest> requests(
      List<String> texts, ModelChoice choice, ScaleGrids grids) {
    CachePolicy policy = cache.policy(choice, grids);
    SamplingOptions options = sampling.with(choice.description(), grids);
    List<String> each =
        texts.stream().flatMap(text -> Collections.nCopies(count, text).stream()).toList();
    long first = seed != null ? seed : ThreadLocalRandom.current().nextLong(1L << 32);
    List<Long> seeds = ImageSeeds.all(first, each.size());
    Optional<String> negative = Optional.ofNullable(negativePrompt);
    List<GenerationRequest> requests = new ArrayList<>();
    for (int from = 0; from < each.size(); from += batch) {
      requests.add(
          new GenerationRequest(
              IntStream.range(from, Math.min(from + batch, each.size()))
                  .mapToObj(i -> new PictureRequest(each.get(i), negative, seeds.get(i), options))
                  .toList(),
              grids,
              policy));
    }
    return requests;
  }

  private long largestOutput(int pictures, ModelChoice choice, ScaleGrids grids) {
    long stride = choice.description().pixelsPerToken();
    long files = (long) pictures * (saveScales ? 1 + grids.count() : 1);
    return files * (3 * stride * stride * grids.last().tokens() + (64 << 10));
  }

  /**
   * Pictures that are drawn together.
   *
   * @param files one for each
   */
  private record Pass(GenerationRequest request, List<Path> files) {
    String label() {
      String first = files.getFirst().getFileName().toString();
      return files.size() == 1 ? first : first + " and " + (files.size() - 1) + " more";
    }
  }

  private static List<Pass> passes(List<GenerationRequest> requests, OutputFiles files) {
    List<Pass> passes = new ArrayList<>();
    int first = 0;
    for (GenerationRequest request : requests) {
      passes.add(new Pass(request, files.pictures(first, request.images())));
      first += request.images();
    }
    return passes;
  }

  /**
   * What was drawn of a pass.
   *
   * @param scaleFiles of each picture
   */
  private record Drawn(Pass pass, GenerationResult result, KvUse kv, List<List<Path>> scaleFiles) {}

  private void draw(
      DevicePool pool, List<Pass> passes, Interruption interruption, GenerationReport report) {
    Optional<ScaleProgress> progress =
        quiet
            ? Optional.empty()
            : Optional.of(
                new ScaleProgress(
                    console,
                    passes.stream().map(Pass::label).toList(),
                    passes.getFirst().request.grids()));
    pool.run(
        passes.size(),
        (engine, number, isStopped) -> {
          PassListener listener =
              new PassListener(
                  passes.get(number),
                  KvUse.planned(
                      passes.get(number).request, engine.kvShape(passes.get(number).request)),
                  report,
                  interruption,
                  isStopped,
                  scale -> progress.ifPresent(shown -> shown.done(number, scale)));
          return listener.drawn(engine);
        },
        drawn -> {
          write(drawn, interruption, report);
          Runnable tell = () -> tell(drawn);
          progress.ifPresentOrElse(shown -> shown.above(tell), tell);
        });
  }

  /** Follows a pass, and writes what its pictures show after every scale. */
  private final class PassListener implements GenerationListener {
    private final Pass pass;
    private final KvUse planned;
    private final GenerationReport report;
    private final Interruption interruption;
    private final BooleanSupplier isStopped;
    private final IntConsumer progress;
    private final List<List<Path>> scaleFiles;

    PassListener(
        Pass pass,
        KvUse planned,
        GenerationReport report,
        Interruption interruption,
        BooleanSupplier isStopped,
        IntConsumer progress) {
      this.pass = pass;
      this.planned = planned;
      this.report = report;
      this.interruption = interruption;
      this.isStopped = isStopped;
      this.progress = progress;
      scaleFiles = pass.files.stream().<List<Path>>map(_ -> new ArrayList<>()).toList();
    }

    Drawn drawn(ImageGenerator engine) {
      GenerationResult result = engine.generate(pass.request, this);
      return new Drawn(
          pass, result, planned.measured(result.kv(), pass.request.images()), scaleFiles);
    }

    @Override
    public void scaleDone(int scale, int count, Generation generation) {
      if (saveScales && !isCancelled()) {
        List<Picture> pictures = generation.preview();
        for (int i = 0; i < pictures.size(); i++) {
          Path target = OutputFiles.scale(pass.files.get(i), scale);
          PngImage picture = pictures.get(i).pixels();
          interruption.write(target, picture, texts(pass.request, i, planned, report, picture));
          scaleFiles.get(i).add(target);
        }
      }
      progress.accept(scale);
    }

    @Override
    public boolean isCancelled() {
      return interruption.isRequested() || isStopped.getAsBoolean();
    }
  }

  private void write(Drawn drawn, Interruption interruption, GenerationReport report) {
    GenerationRequest request = drawn.pass.request;
    for (int i = 0; i < drawn.pass.files.size(); i++) {
      PngImage picture = drawn.result.images().get(i).pixels();
      Path file = drawn.pass.files.get(i);
      long start = System.nanoTime();
      interruption.write(file, picture, texts(request, i, drawn.kv, report, picture));
      double writeMillis = (System.nanoTime() - start) / 1e6;
      report.add(request, i, file, drawn.scaleFiles.get(i), drawn.result, drawn.kv, writeMillis);
    }
  }

  private void tell(Drawn drawn) {
    drawn.result.warnings().forEach(warning -> console.message("warning: " + warning));
    if (quiet || json) {
      return;
    }
    for (int i = 0; i < drawn.pass.files.size(); i++) {
      long drawnSeed = drawn.pass.request.pictures().get(i).seed();
      console.print(drawn.pass.files.get(i) + " (seed " + drawnSeed + ")");
      if (cache.isLimited()) {
        console.print("  " + drawn.kv.toText());
      }
    }
  }

  private List<PngText> texts(
      GenerationRequest request, int index, KvUse kv, GenerationReport report, PngImage picture) {
    return noMetadata
        ? List.of()
        : PictureTexts.of(
            request,
            index,
            kv,
            report.choice(),
            report.library().version(),
            picture.width(),
            picture.height());
  }
}
