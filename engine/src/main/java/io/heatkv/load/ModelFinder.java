package io.heatkv.load;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.error.Remedy;
import io.heatkv.error.UserException;
import io.heatkv.infinity.PublishedModel;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.infinity.TransformerConfigs;
import io.heatkv.infinity.vae.VaeConfig;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.scale.Resolution;
import io.heatkv.scale.ScaleTemplate;
import io.heatkv.text.T5Config;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Puts a model together from the files that were published: sizes come from the weights' shapes,
 * the rest from {@link PublishedModel}, unless a model.json says otherwise.
 */
public final class ModelFinder {
  /** Strides of the tokenizers that draw a position, not a patch, for a token. */
  private static final int WHOLE_STRIDE = 16;

  // What tools/run_infinity.py assumes of a size that isn't registered.
  private static final double CFG = 3;
  private static final double TAU = 1;

  private final List<Path> sources;
  private final List<Path> named;
  private final ModelFiles files;
  private final ModelPins pins;
  private final HubCache hub;

  private ModelFinder(
      List<Path> sources, List<Path> named, ModelFiles files, ModelPins pins, HubCache hub) {
    this.sources = sources;
    this.named = named;
    this.files = files;
    this.pins = pins;
    this.hub = hub;
  }

  /**
   * Finds transformer, image tokenizer and text encoder in files and folders; a text encoder that
   * is not there is looked for in the hub's cache. What a named file holds is taken before what
   * lies in a folder, and before it a file that is named for one network alone.
   *
   * @throws UserException if one is missing, damaged or ambiguous, or they don't fit each other
   */
  public static FoundModel find(List<Path> sources, HubCache hub) {
    return find(sources, ModelPins.none(), hub);
  }

  /** As above in one folder, with what its model.json says. */
  static FoundModel find(Path folder, ModelPins pins, HubCache hub) {
    return find(List.of(folder), pins, hub);
  }

  private static FoundModel find(List<Path> sources, ModelPins pins, HubCache hub) {
    List<Path> named = sources.stream().filter(Files::isRegularFile).toList();
    return new ModelFinder(sources, named, ModelFiles.scan(sources), pins, hub).find();
  }

  /**
   * As {@link #find} with the other parts in the folder of a transformer's file; also in the folder
   * above if the file is an index, since shards are published in a folder of their own.
   */
  static FoundModel beside(Path transformer, HubCache hub) {
    if (ModelFiles.scan(List.of(transformer)).of(Network.TRANSFORMER).isEmpty()) {
      throw new UserException(
          transformer + ": holds no Infinity transformer; name its file or the model's folder");
    }
    Path file = transformer.toAbsolutePath();
    Path folder = folder(file);
    ModelFiles files = ModelFiles.scan(List.of(file, folder));
    if (files.of(Network.IMAGE_TOKENIZER).isEmpty() && ModelFiles.isIndex(transformer)) {
      folder = folder(folder);
      files = ModelFiles.scan(List.of(file, folder));
    }
    return new ModelFinder(List.of(folder), List.of(file), files, ModelPins.none(), hub).find();
  }

  private FoundModel find() {
    Path transformer = pins.file(Network.TRANSFORMER).orElseGet(this::transformer);
    Sizes sizes = sizes(transformer);
    Path vae =
        pins.file(Network.IMAGE_TOKENIZER).orElseGet(() -> imageTokenizer(transformer, sizes));
    int codeChannels = channels(vae);
    pins.requireCodeChannels(codeChannels, vae);
    boolean patchify = pins.patchify(codeChannels != sizes.bits);
    TransformerConfig config;
    try (Checkpoint weights = Network.TRANSFORMER.open(transformer)) {
      config = pins.transformer(TransformerConfigs.infer(weights, patchify), transformer);
    }
    Optional<Path> pinnedText = pins.file(Network.TEXT_ENCODER);
    Path text = pinnedText.orElseGet(() -> textEncoder(transformer, sizes.textChannels));
    Optional<PublishedModel> known = PublishedModel.of(config.depth(), config.width(), transformer);
    ModelDescription description =
        new ModelDescription(
            pins.name(
                known.map(PublishedModel::toString).orElse("infinity-layer" + config.depth())),
            root(),
            config,
            transformer,
            codeChannels,
            vae,
            pinnedText.orElseGet(() -> folder(text)),
            text,
            pins.schedule(
                ScaleTemplate.nearest(1)
                    .schedule(known.map(PublishedModel::resolution).orElse(Resolution.P1))),
            pins.sampling("cfg", () -> known.map(PublishedModel::cfg).orElse(CFG)),
            pins.sampling("tau", () -> known.map(PublishedModel::tau).orElse(TAU)),
            pins.sampling("top_p", () -> PublishedModel.TOP_P),
            pins.profile().or(this::profile));
    return new FoundModel(description, notes(description));
  }

  /** A calibration that lies beside the files, if it is the only one. */
  private Optional<Path> profile() {
    List<Path> found = profiles();
    return found.size() == 1 ? Optional.of(found.getFirst()) : Optional.empty();
  }

  private List<Path> profiles() {
    try (Stream<Path> all = Files.list(root().toAbsolutePath())) {
      return all.filter(file -> file.toString().endsWith(CalibrationProfile.SUFFIX))
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new UserException(root() + ": can't be read: " + e.getMessage(), e);
    }
  }

  private List<String> notes(ModelDescription model) {
    TransformerConfig config = model.transformer();
    List<String> notes = new ArrayList<>();
    notes.add(
        "%s by its shapes: depth %d, width %d, %d heads, %d bits a token (%s); transformer %s, image tokenizer %s, text encoder %s"
            .formatted(
                model.name(),
                config.depth(),
                config.width(),
                config.heads(),
                config.bits(),
                config.spatialPatchify()
                    ? "patches of 2x2 positions of " + model.codeChannels()
                    : "no patches",
                shortened(model.transformerFile()),
                shortened(model.vaeFile()),
                shortened(model.textWeights())));
    String said = pins.said();
    if (!said.isEmpty()) {
      notes.add(
          "%s says %s; inferred are the rest, so guidance is %s, tau %s, top-p %s, scales %s"
              .formatted(
                  pins.json().source(),
                  said,
                  model.cfg(),
                  model.tau(),
                  model.topP(),
                  model.schedule()));
    }
    model.profile().ifPresent(file -> notes.add("calibration profile " + shortened(file)));
    if (model.profile().isEmpty() && profiles().size() > 1) {
      notes.add(
          "left aside: several calibration profiles (%s); name one of them as the profile"
              .formatted(names(profiles())));
    }
    for (UserException problem : files.problems()) {
      notes.add("left aside: " + problem.getMessage());
    }
    return notes;
  }

  private Path root() {
    Path first = sources.getFirst();
    return Files.isDirectory(first) ? first : folder(first);
  }

  private static Path folder(Path file) {
    Path parent = file.getParent();
    return parent == null ? Path.of("") : parent;
  }

  private String shortened(Path file) {
    return file.startsWith(root()) ? root().relativize(file).toString() : file.toString();
  }

  private String names(List<Path> paths) {
    return paths.stream().map(this::shortened).collect(Collectors.joining(", "));
  }

  private String where() {
    return sources.stream().map(Path::toString).collect(Collectors.joining(", "));
  }

  private Path transformer() {
    List<Path> all = files.of(Network.TRANSFORMER);
    if (all.isEmpty()) {
      throw missing(
          Network.TRANSFORMER, "put infinity_2b_reg.pth, a model.json or a folder of shards there");
    }
    List<Path> chosen = all.stream().filter(this::isNamed).toList();
    return onlyOne(Network.TRANSFORMER, chosen.isEmpty() ? all : chosen);
  }

  private boolean isNamed(Path file) {
    return named.stream().anyMatch(name -> ModelFiles.isSame(name, file));
  }

  /**
   * Those of a transformer's companions that are meant: named ones, else that which a trainer saved
   * in the transformer's own file, else all.
   */
  private List<Path> meant(List<Path> found, Path transformer) {
    List<Path> apart =
        found.stream().filter(f -> isNamed(f) && !ModelFiles.isSame(f, transformer)).toList();
    return !apart.isEmpty()
        ? apart
        : found.stream().anyMatch(f -> ModelFiles.isSame(f, transformer))
            ? List.of(transformer)
            : found;
  }

  private Path onlyOne(Network network, List<Path> found) {
    if (found.size() > 1) {
      throw new UserException(
          "%s: holds more than one %s (%s); name one file as the model"
              .formatted(where(), network, names(found)),
          Remedy.CHOICE_OF_FILES);
    }
    return found.getFirst();
  }

  /** A file that can't be read may be the one that is missing, so it is named, too. */
  private UserException missing(Network network, String advice) {
    String text = "%s: found no %s".formatted(where(), network);
    return files.problems().isEmpty()
        ? new UserException(text + "; " + advice)
        : new UserException(
            text + "; " + files.problems().getFirst().getMessage(), files.problems().getFirst());
  }

  private record Sizes(int bits, int textChannels) {}

  private static Sizes sizes(Path transformer) {
    try (Checkpoint weights = Network.TRANSFORMER.open(transformer)) {
      TransformerConfig config = TransformerConfigs.infer(weights, false);
      return new Sizes(config.bits(), config.textChannels());
    }
  }

  private Path imageTokenizer(Path transformer, Sizes sizes) {
    List<Path> all = files.of(Network.IMAGE_TOKENIZER);
    if (all.isEmpty()) {
      throw missing(Network.IMAGE_TOKENIZER, "put an infinity_vae_*.pth there");
    }
    List<Path> fitting =
        meant(all, transformer).stream().filter(vae -> fits(vae, sizes.bits)).toList();
    if (fitting.isEmpty()) {
      throw new UserException(
          "%s: has codes of %d bits, but transformer %s draws %d bits a token%s; they belong to different models"
              .formatted(
                  meant(all, transformer).getFirst(),
                  channels(meant(all, transformer).getFirst()),
                  transformer,
                  sizes.bits,
                  sizes.bits % 4 == 0 ? " (or 4 codes of " + sizes.bits / 4 + ")" : ""));
    }
    // Two published tokenizers differ in their weights only; the regularised one says so.
    List<Path> named = fitting.stream().filter(vae -> isReg(vae) == isReg(transformer)).toList();
    return onlyOne(Network.IMAGE_TOKENIZER, named.size() == 1 ? named : fitting);
  }

  private static boolean isReg(Path file) {
    return file.getFileName().toString().contains("reg");
  }

  private static boolean fits(Path vae, int bits) {
    try (Checkpoint weights = Network.IMAGE_TOKENIZER.open(vae)) {
      VaeConfig config = VaeConfig.infer(weights);
      return config.channels() == bits
          || (4 * config.channels() == bits && config.stride() < WHOLE_STRIDE);
    }
  }

  private static int channels(Path vae) {
    try (Checkpoint weights = Network.IMAGE_TOKENIZER.open(vae)) {
      return VaeConfig.infer(weights).channels();
    }
  }

  private Path textEncoder(Path transformer, int width) {
    List<Path> all = files.of(Network.TEXT_ENCODER);
    if (all.isEmpty()) {
      return cachedTextEncoder(width);
    }
    List<Path> fitting =
        meant(all, transformer).stream().filter(path -> width(path) == width).toList();
    if (fitting.isEmpty()) {
      throw new UserException(
          "%s: the text encoder has %d channels, but transformer %s reads %d; they belong to different models"
              .formatted(all.getFirst(), width(all.getFirst()), transformer, width));
    }
    return onlyOne(Network.TEXT_ENCODER, fitting);
  }

  private static int width(Path weights) {
    return T5Config.read(folder(weights).resolve("config.json")).width();
  }

  private Path cachedTextEncoder(int width) {
    for (Path snapshot : hub.textEncoders(width, files.problems())) {
      List<Path> weights = ModelFiles.scan(List.of(snapshot)).of(Network.TEXT_ENCODER);
      if (!weights.isEmpty()) {
        return weights.getFirst();
      }
    }
    throw missing(
        Network.TEXT_ENCODER,
        "put the files of google/flan-t5-xl (%d channels) there or into HuggingFace's cache %s; nothing is downloaded"
            .formatted(width, hub.folder()));
  }
}
