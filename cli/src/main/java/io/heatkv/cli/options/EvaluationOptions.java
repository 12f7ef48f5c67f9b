package io.heatkv.cli.options;

import io.heatkv.cache.KvShape;
import io.heatkv.error.UserException;
import io.heatkv.eval.config.Preset;
import io.heatkv.eval.learned.LearnedMetric;
import io.heatkv.eval.run.Cells;
import io.heatkv.eval.run.Evaluation;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.ModelProfile;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.text.PromptFiles;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Options that say what is drawn and compared. */
public final class EvaluationOptions {
  private static final long BATCH_BYTES = 4L << 30;
  private static final int LARGEST_BATCH = 32;
  private static final int MOST = 1_000_000;

  @Option(
      names = "--first",
      paramLabel = "N",
      description = "Take only the first N prompts. Default: all.")
  private @Nullable Integer first;

  @Option(
      names = "--policies",
      split = ",",
      paramLabel = "NAME",
      completionCandidates = PolicyOptions.Names.class,
      description = "Policies to compare: ${COMPLETION-CANDIDATES}. Default: all.")
  private List<String> policies = List.of();

  @Option(
      names = "--budgets",
      split = ",",
      paramLabel = "BUDGET",
      description =
          "Ratios of the full cache such as 0.1 or 10%%, or sizes such as 4MiB for one picture"
              + " with guidance. Default: 0.3,0.2,0.1,0.05.")
  private List<String> budgets = List.of();

  @Option(names = "--seeds", paramLabel = "N", description = "Pictures of each prompt. Default: 1.")
  private @Nullable Integer seeds;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description =
          "Seed of the first picture, 0 or more; the next ones have the next numbers. Default:"
              + " ${DEFAULT-VALUE}.")
  private long seed;

  @Option(
      names = "--batch",
      paramLabel = "N",
      description = "Pictures drawn in one pass. Default: 1 on the CPU, up to 32 on CUDA.")
  private @Nullable Integer batch;

  @Option(
      names = "--images",
      paramLabel = "N",
      description = "Keep the pictures of the first N prompts. Default: 8.")
  private @Nullable Integer images;

  @Option(
      names = "--no-kl",
      description =
          "Leave out the divergence of bits under teacher forcing, which takes half of the time.")
  private boolean noDivergence;

  @Option(
      names = "--metric",
      paramLabel = "NAME=FILE",
      description =
          "ONNX model of a learned metric: lpips, fid, clip-score, hpsv2 or image-reward, once for"
              + " each; see docs/metrics.md.")
  private List<String> metrics = List.of();

  @Mixin private final LevelsOption levels = new LevelsOption();
  @Mixin private final ProfileOption profile = new ProfileOption();
  @Mixin private final StoreOption store = new StoreOption();
  @Mixin private final ScaleOptions scales = new ScaleOptions();
  @Mixin private final SamplingChoices sampling = new SamplingChoices();

  /** Whether the divergence of bits is measured. */
  public boolean divergence() {
    return !noDivergence;
  }

  /**
   * The model files of learned metrics.
   *
   * @throws UserException if a metric is unknown or named twice, or there is no file
   */
  public Map<LearnedMetric, Path> metrics() {
    Map<LearnedMetric, Path> files = new EnumMap<>(LearnedMetric.class);
    for (String text : metrics) {
      int sign = text.indexOf('=');
      if (sign < 0 || sign == text.length() - 1) {
        throw new UserException("metric '" + text + "' has no file; expected NAME=FILE");
      }
      LearnedMetric metric = LearnedMetric.of(text.substring(0, sign));
      if (files.put(metric, Path.of(text.substring(sign + 1))) != null) {
        throw new UserException("metric " + metric.id() + " is named twice; leave out one");
      }
    }
    return files;
  }

  /** The profile that is named, else the model's own. */
  public Optional<Path> profile(ModelChoice choice) {
    return profile.path().or(choice.description()::profile);
  }

  /**
   * The evaluation of one set of prompts.
   *
   * @param preset holds where no option says otherwise
   * @param file of the prompts; those held out of the model's training if empty
   * @throws UserException if an option is out of range, a file can't be read, or nothing can be
   *     compared
   */
  public Evaluation evaluation(ModelChoice choice, Preset preset, Optional<Path> file) {
    List<String> texts = prompts(choice, preset, file);
    int each = seeds == null ? preset.seeds() : inRange("seeds", seeds, 1);
    int pictures = inRange("pictures of each cell", (long) texts.size() * each, 1);
    if (seed < 0 || seed > Long.MAX_VALUE - pictures) {
      throw new UserException(
          "seed "
              + seed
              + " is out of range; expected 0 or more, and the last picture's below 2^63");
    }
    ScaleGrids grids = grids(choice, preset);
    KvShape shape = choice.description().kvShape(choice.dtype(), grids);
    List<String> names = policies.isEmpty() ? preset.policies() : policies;
    levels.requireServes(names);
    store.requireServes(names);
    Cells cells =
        Cells.of(
            names,
            budgets.isEmpty() ? preset.budgets() : budgets,
            shape,
            profile.path(),
            () -> ModelProfile.find(choice.description(), grids, profile.path()),
            levels.levels(),
            store.storage());
    return new Evaluation(
        texts,
        each,
        seed,
        grids,
        sampled(choice, preset, grids),
        cells.cells(),
        cells.absent(),
        batch == null ? defaultBatch(choice, shape) : inRange("batch", batch, 1),
        images == null ? preset.images() : inRange("images", images, 0));
  }

  private ScaleGrids grids(ModelChoice choice, Preset preset) {
    return scales.grids(choice.description(), preset.resolution());
  }

  private SamplingOptions sampled(ModelChoice choice, Preset preset, ScaleGrids grids) {
    ModelDescription own = choice.description();
    return sampling.with(
        own, preset.cfg().orElse(own.cfg()), preset.tau().orElse(own.tau()), grids);
  }

  private List<String> prompts(ModelChoice choice, Preset preset, Optional<Path> file) {
    ModelDescription model = choice.description();
    List<String> all = file.map(PromptFiles::read).orElseGet(model::heldOut);
    if (all.isEmpty()) {
      throw new UserException(
          "model %s comes without prompts; name a file of prompts with --prompts"
              .formatted(model.name()));
    }
    all.forEach(model::requirePrompt);
    Optional<Integer> most = first != null ? Optional.of(first) : preset.first();
    return most.map(count -> all.subList(0, Math.min(inRange("first", count, 1), all.size())))
        .orElse(all);
  }

  /** As many pictures as have 4 GiB of keys and values together. */
  private static int defaultBatch(ModelChoice choice, KvShape shape) {
    return choice.device().isCuda()
        ? Math.clamp(BATCH_BYTES / Math.max(1, shape.fullBytes()), 1, LARGEST_BATCH)
        : 1;
  }

  private static int inRange(String name, long value, int least) {
    if (value < least || value > MOST) {
      throw new UserException(
          "%s %d is out of range; expected %d to %d".formatted(name, value, least, MOST));
    }
    return (int) value;
  }
}
