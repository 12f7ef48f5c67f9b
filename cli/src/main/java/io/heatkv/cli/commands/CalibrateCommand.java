package io.heatkv.cli.commands;

import io.heatkv.Calibrator;
import io.heatkv.DevicePool;
import io.heatkv.GenerationRequest;
import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.cli.console.Console;
import io.heatkv.cli.console.Interruption;
import io.heatkv.cli.console.Outputs;
import io.heatkv.cli.console.PromptProgress;
import io.heatkv.cli.options.MemoryCheck;
import io.heatkv.cli.options.ModelChoice;
import io.heatkv.cli.options.ModelOptions;
import io.heatkv.cli.options.PromptOptions;
import io.heatkv.cli.options.SamplingChoices;
import io.heatkv.cli.options.ScaleOptions;
import io.heatkv.cli.report.AgreementReport;
import io.heatkv.cli.report.Json;
import io.heatkv.error.UserException;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.profile.ProfileComparison;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.ScheduleShape;
import io.heatkv.tensor.libtorch.LibTorch;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Measures which heads later scales attend to, adds up such measurements, or compares two. */
@Command(
    name = "calibrate",
    description = {
      "Measures how much later scales attend to each scale in each head, on a few prompts,",
      "and writes it as a profile from which schedules are made. Prompt i is drawn with seed"
          + " --seed + i.",
      "A calibration that was ended goes on from FILE.partial with the same command."
    },
    footer = {
      "  heatkv calibrate --prompts prompts.txt -o emoji.heatkv.json",
      "  heatkv calibrate --prompts captions.jsonl --sink-scales 3 --seed 0 -o a.heatkv.json",
      "  heatkv calibrate --merge a.heatkv.json b.heatkv.json -o all.heatkv.json",
      "  heatkv calibrate --compare a.heatkv.json b.heatkv.json"
    })
public final class CalibrateCommand implements Callable<Integer> {
  private static final Set<String> WITH_MERGE =
      Set.of("--merge", "--output", "--quiet", "--json", "--debug");
  private static final Set<String> WITH_COMPARE = Set.of("--compare", "--json", "--debug");

  private final Console console;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Mixin private final PromptOptions prompts = new PromptOptions();

  @Option(
      names = "--merge",
      arity = "1..*",
      paramLabel = "FILE",
      description =
          "Add up profiles of the same model and settings but other prompts, instead of drawing.")
  private List<Path> merged = new ArrayList<>();

  @Option(
      names = "--compare",
      arity = "2",
      paramLabel = "FILE",
      description =
          "Tell how far two profiles of one model and scales agree, and what schedules made from the"
              + " first cost by the second's measure; nothing is drawn or written.")
  private List<Path> compared = new ArrayList<>();

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      description = "Profile to write, usually NAME.heatkv.json; needed but for --compare.")
  private Path output = Path.of("");

  @Option(
      names = "--sink-scales",
      paramLabel = "N",
      description = "First scales, which are never removed. Default: ${DEFAULT-VALUE}.")
  private int sinkScales = 3;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "Seed of the first prompt, 0 or more. Default: ${DEFAULT-VALUE}.")
  private long seed;

  @Option(
      names = "--heatkv-only",
      description =
          "Measure only what HeatKV needs, which takes less time; scalekv, hack and ams-kv can't"
              + " use the profile then.")
  private boolean heatkvOnly;

  @Mixin private final ScaleOptions scales = new ScaleOptions();
  @Mixin private final SamplingChoices sampling = new SamplingChoices();
  @Mixin private final ModelOptions model = new ModelOptions();

  @Option(
      names = {"-q", "--quiet"},
      description = "Print nothing but errors and warnings.")
  private boolean quiet;

  @Option(names = "--json", description = "Print the result as JSON.")
  private boolean json;

  public CalibrateCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    if (!compared.isEmpty()) {
      compare();
      return 0;
    }
    if (!spec.commandLine().getParseResult().hasMatchedOption("--output")) {
      throw new ParameterException(spec.commandLine(), "Missing required option: '--output=FILE'");
    }
    Outputs.requireFile(output, "model.heatkv.json");
    Outputs.requireWritable(output, 0);
    if (merged.isEmpty()) {
      calibrate();
    } else {
      merge();
    }
    return 0;
  }

  private void compare() {
    requireOnly(WITH_COMPARE, "--compare");
    if (compared.size() != 2) {
      throw new UserException(
          "--compare names %d profiles; expected two".formatted(compared.size()));
    }
    AgreementReport report =
        new AgreementReport(
            compared.get(0),
            compared.get(1),
            ProfileComparison.of(
                CalibrationProfile.read(compared.get(0)),
                CalibrationProfile.read(compared.get(1))));
    console.print(json ? Json.pretty(report.toJson()) : report.toText());
  }

  /** Refuses prompts and options that don't go with one that draws nothing. */
  private void requireOnly(Set<String> allowed, String option) {
    Set<String> others = new TreeSet<>();
    for (OptionSpec given : spec.commandLine().getParseResult().matchedOptions()) {
      others.add(given.longestName());
    }
    others.removeAll(allowed);
    if (!others.isEmpty() || prompts.areGiven()) {
      throw new UserException(
          "%s draws nothing; leave out %s"
              .formatted(option, others.isEmpty() ? "the prompts" : String.join(", ", others)));
    }
  }

  private void merge() {
    requireOnly(WITH_MERGE, "--merge");
    CalibrationProfile profile =
        CalibrationProfile.merge(merged.stream().map(CalibrationProfile::read).toList());
    profile.write(output);
    report(profile, summary(profile));
  }

  private void calibrate() {
    List<String> texts = prompts.all();
    if (seed < 0) {
      throw new UserException("seed " + seed + " is out of range; expected 0 or more");
    }
    try (ModelChoice choice = model.chooseShared()) {
      prompts.requireOf(choice.description(), texts);
      calibrate(choice, texts);
    }
  }

  private void calibrate(ModelChoice choice, List<String> texts) {
    ScaleGrids grids = scales.grids(choice.description());
    SamplingOptions options = sampling.with(choice.description(), grids);
    if (options.argmax() || !options.guidedLayers().isEmpty()) {
      throw new UserException(
          "a profile doesn't tell --argmax and --cfg-layer; leave them out of a calibration");
    }
    // Refuses sizes that no schedule can have.
    KvShape shape = choice.description().kvShape(choice.dtype(), grids);
    ScheduleShape.of(shape.layers(), shape.heads(), grids, sinkScales);
    GenerationRequest request =
        GenerationRequest.of(
            texts.subList(0, 1), Optional.empty(), 1, seed, grids, options, CachePolicy.FULL);
    MemoryCheck.host(choice, request);
    LibTorch library = choice.library();
    MemoryCheck.calibration(choice, library, request);
    try (Interruption interruption = new Interruption();
        DevicePool pool = choice.load(library, texts.size())) {
      PromptProgress progress = new PromptProgress(console, output, quiet, interruption);
      CalibrationProfile profile =
          new Calibrator(pool, grids, options, sinkScales, seed, !heatkvOnly)
              .calibrate(texts, output, progress);
      Map<String, Object> summary = summary(profile);
      summary.put("prompts_before", progress.before());
      summary.put("seconds", progress.seconds());
      summary.put("prompts_per_second", progress.promptsPerSecond());
      report(profile, summary);
    }
  }

  private Map<String, Object> summary(CalibrationProfile profile) {
    Map<String, Object> summary = new LinkedHashMap<>();
    summary.put("file", output);
    summary.put("model", profile.setup().model());
    summary.put("fingerprint", profile.setup().fingerprint());
    summary.put("scales", profile.setup().grids());
    summary.put("sink_scales", profile.setup().sinkScales());
    summary.put("prompts", profile.prompts());
    summary.put("prompts_sha256", profile.promptsSha256());
    return summary;
  }

  private void report(CalibrationProfile profile, Map<String, Object> summary) {
    if (json) {
      console.print(Json.pretty(summary));
    } else if (!quiet) {
      console.print(
          "%s (%d prompts, model %s)"
              .formatted(output, profile.prompts(), profile.setup().model()));
    }
  }
}
