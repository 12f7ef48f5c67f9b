package io.heatkv.infinity.load;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvShape;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Fingerprint;
import io.heatkv.checkpoint.ShardedWriter;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.error.UserException;
import io.heatkv.family.FirstPass;
import io.heatkv.infinity.InfinityModel;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.infinity.TransformerConfigs;
import io.heatkv.infinity.TransformerKeys;
import io.heatkv.infinity.vae.VaeConfig;
import io.heatkv.json.JsonObject;
import io.heatkv.load.Conversion;
import io.heatkv.load.MemoryEstimate;
import io.heatkv.load.MemoryNeed;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.ModelFiles;
import io.heatkv.load.NetworkSummary;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.text.PromptFiles;
import io.heatkv.text.PromptTokenizer;
import io.heatkv.text.T5Config;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What an Infinity is and where its files lie: the content of its model.json.
 *
 * @param name for people
 * @param folder of the model
 * @param transformer sizes of the transformer
 * @param transformerFile its weights
 * @param codeChannels bits of a code position
 * @param vaeFile weights of the image tokenizer
 * @param textEncoder folder of the T5 encoder: config and tokenizer
 * @param textWeights weights of the T5 encoder
 * @param grids of all scales, unless others are asked for
 * @param cfg default guidance strength
 * @param tau default temperature
 * @param topP default nucleus filter
 * @param profile its calibration, if it comes with one
 * @param files that are open
 */
public record InfinityDescription(
    String name,
    Path folder,
    TransformerConfig transformer,
    Path transformerFile,
    int codeChannels,
    Path vaeFile,
    Path textEncoder,
    Path textWeights,
    ScaleGrids grids,
    double cfg,
    double tau,
    double topP,
    Optional<Path> profile,
    ModelFiles files)
    implements InfinitySizes, ModelDescription {
  /** Name of the file that describes a folder's model. */
  public static final String FILE = "model.json";

  /**
   * Reads {@code model.json} of a folder.
   *
   * @throws UserException if it is missing or incomplete
   */
  public static InfinityDescription read(Path folder) {
    Path file = folder.resolve(FILE);
    JsonObject json = JsonObject.read(file);
    JsonObject vae = json.object("vae");
    JsonObject transformer = json.object("transformer");
    JsonObject sampling = json.object("sampling");
    int channels = vae.size("codebook_dim");
    Path text = inside(folder, json.object("text_encoder").text("folder"), file);
    return new InfinityDescription(
        json.text("name"),
        folder,
        TransformerConfigs.read(transformer, channels),
        inside(folder, transformer.text("file"), file),
        channels,
        inside(folder, vae.text("file"), file),
        text,
        text,
        grids(json),
        sampling.number("cfg"),
        sampling.number("tau"),
        sampling.number("top_p", 1),
        json.has("calibration")
            ? Optional.of(inside(folder, json.object("calibration").text("file"), file))
            : Optional.empty(),
        ModelFiles.in(folder));
  }

  Checkpoint transformerWeights() {
    return files.open(InfinityNetworks.TRANSFORMER, transformerFile);
  }

  Checkpoint vaeWeights() {
    return files.open(InfinityNetworks.IMAGE_TOKENIZER, vaeFile);
  }

  Checkpoint textEncoderWeights() {
    return files.open(InfinityNetworks.TEXT_ENCODER, textWeights);
  }

  @Override
  public VaeConfig vae() {
    return VaeConfig.infer(vaeWeights());
  }

  T5Config t5() {
    return T5Config.read(textEncoder.resolve("config.json"));
  }

  @Override
  public String fingerprint() {
    return Fingerprint.of(transformerWeights());
  }

  @Override
  public List<NetworkSummary> networks() {
    TransformerConfig config = transformer;
    Map<String, Object> sizes = new LinkedHashMap<>();
    sizes.put("layers", config.depth());
    sizes.put("heads", config.heads());
    sizes.put("head_dim", config.headDim());
    sizes.put("width", config.width());
    sizes.put("hidden", config.hidden());
    sizes.put("bits", config.bits());
    T5Config t5 = t5();
    Map<String, Object> text = new LinkedHashMap<>();
    text.put("layers", t5.layers());
    text.put("width", t5.width());
    text.put("vocabulary", t5.vocabulary());
    text.put("max_tokens", config.textMaxLength());
    VaeConfig vae = vae();
    Map<String, Object> tokenizer = new LinkedHashMap<>();
    tokenizer.put("channels", vae.channels());
    tokenizer.put("stride", vae.stride());
    tokenizer.put("encoder", hasEncoder());
    return List.of(
        NetworkSummary.of(
            "transformer",
            "transformer",
            transformerWeights(),
            sizes,
            "%%s, %d layers, %d heads of %d, width %d, hidden %d"
                .formatted(
                    config.depth(),
                    config.heads(),
                    config.headDim(),
                    config.width(),
                    config.hidden())),
        NetworkSummary.of(
            "text_encoder",
            "text encoder",
            textEncoderWeights(),
            text,
            "T5, %%s, %d layers, width %d, up to %d tokens"
                .formatted(t5.layers(), t5.width(), config.textMaxLength())),
        NetworkSummary.of(
            "vae",
            "image tokenizer",
            vaeWeights(),
            tokenizer,
            "BSQ-VAE, %%s, codes of %d bits, %d pixels a token"
                .formatted(vae.channels(), pixelsPerToken())));
  }

  @Override
  public int maxScales() {
    return Math.toIntExact(transformerWeights().entry(TransformerKeys.SCALES).shape()[0]);
  }

  @Override
  public boolean isClassConditional() {
    return false;
  }

  @Override
  public String example() {
    return "a red apple with a green leaf";
  }

  @Override
  public int textTokens() {
    return 16;
  }

  @Override
  public List<String> heldOut() {
    Path file = folder.resolve("prompts").resolve("heldout.txt");
    return Files.isRegularFile(file) ? PromptFiles.read(file) : List.of();
  }

  @Override
  public String sampler() {
    return "Bitwise";
  }

  @Override
  public double decodeFlops(ScaleGrids grids) {
    ScaleSize last = grids.last();
    return InfinityFlops.decode(vae(), (long) last.height() * edge(), (long) last.width() * edge());
  }

  @Override
  public boolean hasEncoder() {
    return !vae().encoderMultipliers().isEmpty();
  }

  @Override
  public MemoryEstimate estimate(KvShape shape, CachePolicy policy) {
    return InfinityMemory.estimate(this, shape, policy);
  }

  @Override
  public MemoryNeed need(KvShape shape, CachePolicy policy, Device device) {
    return InfinityMemory.need(this, shape, policy, device);
  }

  @Override
  public RandomInfinity random() {
    return new RandomInfinity(name, transformer, grids);
  }

  @Override
  public void warmUp() {
    PromptTokenizer.open(textEncoder.resolve("tokenizer.json"), transformer.textMaxLength())
        .close();
  }

  @Override
  public InfinityModel load(Backend backend, Device device, DType dtype) {
    return load(backend, device, dtype, Optional.empty());
  }

  @Override
  public InfinityModel load(
      Backend backend, Device device, DType dtype, Optional<FirstPass> first) {
    return InfinityModel.load(
        name,
        transformer,
        transformerWeights(),
        codeChannels,
        vaeWeights(),
        textEncoder,
        textEncoderWeights(),
        backend,
        device,
        dtype,
        first);
  }

  @Override
  public Conversion convert(Path target, StorageType dtype, ShardedWriter.Progress progress) {
    return ModelImport.run(this, target, dtype, progress);
  }

  @Override
  public void close() {
    files.close();
  }

  /** A path below the folder; a model can't point elsewhere. */
  static Path inside(Path folder, String name, Path file) {
    Path path = folder.resolve(name).normalize();
    if (!path.startsWith(folder.normalize())) {
      throw new UserException(file + ": names " + name + ", outside the model's folder");
    }
    return path;
  }

  /** Grids at the key scale_schedule. */
  static ScaleGrids grids(JsonObject json) {
    List<ScaleSize> sizes = new ArrayList<>();
    for (Object item : json.list("scale_schedule")) {
      if (item instanceof List<?> scale
          && scale.size() == 3
          && scale.get(1) instanceof Double height
          && scale.get(2) instanceof Double width
          && height == Math.rint(height)
          && width == Math.rint(width)) {
        sizes.add(new ScaleSize(height.intValue(), width.intValue()));
      } else {
        throw new UserException(
            json.source() + ": scale_schedule has " + item + "; expected [1, height, width]");
      }
    }
    return new ScaleGrids(sizes);
  }
}
