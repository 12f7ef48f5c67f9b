package io.heatkv.infinity.load;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.error.Remedy;
import io.heatkv.error.UserException;
import io.heatkv.infinity.PublishedModel;
import io.heatkv.infinity.Resolution;
import io.heatkv.infinity.ScaleTemplate;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.infinity.TransformerConfigs;
import io.heatkv.infinity.vae.VaeConfig;
import io.heatkv.load.FoundModel;
import io.heatkv.load.HubCache;
import io.heatkv.load.ModelFiles;
import io.heatkv.load.Network;
import io.heatkv.text.T5Config;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * Puts a model together from the files that were published: sizes come from the weights' shapes,
 * the rest from {@link PublishedModel}, unless a model.json says otherwise.
 */
final class ModelFinder {
  /** Strides of the tokenizers that draw a position, not a patch, for a token. */
  private static final int WHOLE_STRIDE = 16;

  // What tools/run_infinity.py assumes of a size that isn't registered.
  private static final double CFG = 3;
  private static final double TAU = 1;

  private final ModelFiles files;
  private final ModelPins pins;
  private final HubCache hub;

  private ModelFinder(ModelFiles files, ModelPins pins, HubCache hub) {
    this.files = files;
    this.pins = pins;
    this.hub = hub;
  }

  /**
   * Finds transformer, image tokenizer and text encoder among files; a text encoder that is not
   * there is looked for in the hub's cache. What a named file holds is taken before what lies in a
   * folder, and before it a file that is named for one network alone. What a model.json in the
   * folder says holds.
   *
   * @param files where the networks were looked for
   * @throws UserException if one is missing, damaged or ambiguous, or they don't fit each other
   */
  static FoundModel find(ModelFiles files, HubCache hub) {
    if (files.of(InfinityNetworks.IMAGE_TOKENIZER).isEmpty()) {
      files.widen();
    }
    Path folder = files.root();
    ModelPins pins =
        files.areOneFolder() && Files.exists(folder.resolve(InfinityDescription.FILE))
            ? ModelPins.read(folder)
            : ModelPins.none();
    return new ModelFinder(files, pins, hub).find();
  }

  private FoundModel find() {
    Path transformer = pins.transformerFile().orElseGet(this::transformer);
    Sizes sizes = sizes(transformer);
    Path vae = pins.vaeFile().orElseGet(() -> imageTokenizer(transformer, sizes));
    int codeChannels = channels(vae);
    pins.requireCodeChannels(codeChannels, vae);
    boolean patchify = pins.patchify(codeChannels != sizes.bits);
    Checkpoint weights = files.open(InfinityNetworks.TRANSFORMER, transformer);
    TransformerConfig config =
        pins.transformer(TransformerConfigs.infer(weights, patchify), transformer);
    Optional<Path> pinnedText = pins.textEncoder();
    Path text = pinnedText.orElseGet(() -> textEncoder(transformer, sizes.textChannels));
    Optional<PublishedModel> known = PublishedModel.of(config.depth(), config.width(), transformer);
    InfinityDescription description =
        new InfinityDescription(
            pins.name(
                known.map(PublishedModel::toString).orElse("infinity-layer" + config.depth())),
            files.root(),
            config,
            transformer,
            codeChannels,
            vae,
            pinnedText.orElseGet(() -> ModelFiles.folder(text)),
            text,
            pins.grids(
                ScaleTemplate.nearest(1)
                    .grids(known.map(PublishedModel::resolution).orElse(Resolution.P1))),
            pins.sampling("cfg", () -> known.map(PublishedModel::cfg).orElse(CFG)),
            pins.sampling("tau", () -> known.map(PublishedModel::tau).orElse(TAU)),
            pins.sampling("top_p", () -> PublishedModel.TOP_P),
            pins.profile().or(this::profile),
            files);
    return new FoundModel(description, notes(description));
  }

  /** A calibration that lies beside the files, if it is the only one. */
  private Optional<Path> profile() {
    List<Path> found = files.profiles();
    return found.size() == 1 ? Optional.of(found.getFirst()) : Optional.empty();
  }

  private List<String> notes(InfinityDescription model) {
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
                files.shortened(model.transformerFile()),
                files.shortened(model.vaeFile()),
                files.shortened(model.textWeights())));
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
                  model.grids()));
    }
    model.profile().ifPresent(file -> notes.add("calibration profile " + files.shortened(file)));
    if (model.profile().isEmpty() && files.profiles().size() > 1) {
      notes.add(
          "left aside: several calibration profiles (%s); name one of them as the profile"
              .formatted(names(files.profiles())));
    }
    for (UserException problem : files.problems()) {
      notes.add("left aside: " + problem.getMessage());
    }
    return notes;
  }

  private String names(List<Path> paths) {
    return paths.stream().map(files::shortened).collect(Collectors.joining(", "));
  }

  private Path transformer() {
    List<Path> all = files.of(InfinityNetworks.TRANSFORMER);
    if (all.isEmpty()) {
      throw missing(
          InfinityNetworks.TRANSFORMER,
          "put infinity_2b_reg.pth, a model.json or a folder of shards there");
    }
    List<Path> chosen = all.stream().filter(files::isNamed).toList();
    return onlyOne(InfinityNetworks.TRANSFORMER, chosen.isEmpty() ? all : chosen);
  }

  /**
   * Those of a transformer's companions that are meant: named ones, else that which a trainer saved
   * in the transformer's own file, else all.
   */
  private List<Path> meant(List<Path> found, Path transformer) {
    List<Path> apart =
        found.stream().filter(f -> files.isNamed(f) && !ModelFiles.isSame(f, transformer)).toList();
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
              .formatted(files, network, names(found)),
          Remedy.CHOICE_OF_FILES);
    }
    return found.getFirst();
  }

  /** A file that can't be read may be the one that is missing, so it is named, too. */
  private UserException missing(Network network, String advice) {
    String text = "%s: found no %s".formatted(files, network);
    return files.problems().isEmpty()
        ? new UserException(text + "; " + advice)
        : new UserException(
            text + "; " + files.problems().getFirst().getMessage(), files.problems().getFirst());
  }

  private record Sizes(int bits, int textChannels) {}

  private Sizes sizes(Path transformer) {
    TransformerConfig config =
        TransformerConfigs.infer(files.open(InfinityNetworks.TRANSFORMER, transformer), false);
    return new Sizes(config.bits(), config.textChannels());
  }

  private Path imageTokenizer(Path transformer, Sizes sizes) {
    List<Path> all = files.of(InfinityNetworks.IMAGE_TOKENIZER);
    if (all.isEmpty()) {
      throw missing(InfinityNetworks.IMAGE_TOKENIZER, "put an infinity_vae_*.pth there");
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
    return onlyOne(InfinityNetworks.IMAGE_TOKENIZER, named.size() == 1 ? named : fitting);
  }

  private static boolean isReg(Path file) {
    return file.getFileName().toString().contains("reg");
  }

  private boolean fits(Path vae, int bits) {
    VaeConfig config = VaeConfig.infer(files.open(InfinityNetworks.IMAGE_TOKENIZER, vae));
    return config.channels() == bits
        || (4 * config.channels() == bits && config.stride() < WHOLE_STRIDE);
  }

  private int channels(Path vae) {
    return VaeConfig.infer(files.open(InfinityNetworks.IMAGE_TOKENIZER, vae)).channels();
  }

  private Path textEncoder(Path transformer, int width) {
    List<Path> all = files.of(InfinityNetworks.TEXT_ENCODER);
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
    return onlyOne(InfinityNetworks.TEXT_ENCODER, fitting);
  }

  private static int width(Path weights) {
    return T5Config.read(ModelFiles.folder(weights).resolve("config.json")).width();
  }

  private Path cachedTextEncoder(int width) {
    for (Path snapshot : hub.textEncoders(width, files.problems())) {
      files.also(snapshot);
      List<Path> weights = files.of(InfinityNetworks.TEXT_ENCODER);
      if (!weights.isEmpty()) {
        return weights.getFirst();
      }
    }
    throw missing(
        InfinityNetworks.TEXT_ENCODER,
        "put the files of google/flan-t5-xl (%d channels) there or into HuggingFace's cache %s; nothing is downloaded"
            .formatted(width, hub.folder()));
  }
}
