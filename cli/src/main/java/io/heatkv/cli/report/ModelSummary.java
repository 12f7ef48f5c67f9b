package io.heatkv.cli.report;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Fingerprint;
import io.heatkv.cli.console.Sizes;
import io.heatkv.convert.SyntheticCheckpoint;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.infinity.vae.VaeConfig;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.Network;
import io.heatkv.scale.ScaleSchedule;
import io.heatkv.tensor.DType;
import io.heatkv.text.T5Config;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What a model is, read from its files without loading it.
 *
 * @param description the model
 * @param transformer parameters and fingerprint of the transformer
 * @param textEncoder likewise
 * @param vae likewise
 * @param t5 sizes of the text encoder
 * @param tokenizer sizes of the image tokenizer
 */
public record ModelSummary(
    ModelDescription description,
    Part transformer,
    Part textEncoder,
    Part vae,
    T5Config t5,
    VaeConfig tokenizer) {
  /**
   * One network.
   *
   * @param parameters elements of its tensors
   * @param fingerprint tells it from others
   * @param random what the file says about its weights if nobody trained them
   */
  public record Part(long parameters, String fingerprint, Optional<String> random) {
    static Part of(Network network, Path file) {
      try (Checkpoint checkpoint = network.open(file)) {
        long parameters =
            checkpoint.names().stream().mapToLong(name -> checkpoint.entry(name).elements()).sum();
        return new Part(
            parameters,
            Fingerprint.of(checkpoint),
            Optional.ofNullable(checkpoint.metadata().get(SyntheticCheckpoint.NOTE)));
      }
    }
  }

  public static ModelSummary of(ModelDescription model) {
    try (Checkpoint vae = Network.IMAGE_TOKENIZER.open(model.vaeFile())) {
      return new ModelSummary(
          model,
          Part.of(Network.TRANSFORMER, model.transformerFile()),
          Part.of(Network.TEXT_ENCODER, model.textWeights()),
          Part.of(Network.IMAGE_TOKENIZER, model.vaeFile()),
          T5Config.read(model.textEncoder().resolve("config.json")),
          VaeConfig.infer(vae));
    }
  }

  /** Bytes of the full cache of one picture, both guidance halves counted. */
  private long kvBytes(DType dtype) {
    return description.kvShape(dtype, description.schedule()).fullBytes();
  }

  private int pixelsPerToken() {
    return tokenizer.stride() * (description.transformer().spatialPatchify() ? 2 : 1);
  }

  private int width() {
    return description.schedule().last().width() * pixelsPerToken();
  }

  private int height() {
    return description.schedule().last().height() * pixelsPerToken();
  }

  public Map<String, Object> toJson() {
    TransformerConfig config = description.transformer();
    ScaleSchedule schedule = description.schedule();
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("name", description.name());
    json.put("folder", description.folder());
    json.put("parameters", parameters());
    random().ifPresent(note -> json.put("weights", note));
    json.put(
        "transformer",
        object(
            "parameters", transformer.parameters,
            "layers", config.depth(),
            "heads", config.heads(),
            "head_dim", config.headDim(),
            "width", config.width(),
            "hidden", config.hidden(),
            "bits", config.bits(),
            "fingerprint", transformer.fingerprint));
    json.put(
        "text_encoder",
        object(
            "parameters", textEncoder.parameters,
            "layers", t5.layers(),
            "width", t5.width(),
            "vocabulary", t5.vocabulary(),
            "max_tokens", config.textMaxLength(),
            "fingerprint", textEncoder.fingerprint));
    json.put(
        "vae",
        object(
            "parameters", vae.parameters,
            "channels", tokenizer.channels(),
            "stride", tokenizer.stride(),
            "encoder", !tokenizer.encoderMultipliers().isEmpty(),
            "fingerprint", vae.fingerprint));
    json.put("image", object("width", width(), "height", height()));
    json.put("scales", schedule);
    json.put("tokens", schedule.totalTokens());
    json.put("cached_tokens", schedule.cachedTokens());
    json.put("kv_bytes", object("fp32", kvBytes(DType.F32), "bf16", kvBytes(DType.BF16)));
    json.put(
        "sampling",
        object("cfg", description.cfg(), "tau", description.tau(), "top_p", description.topP()));
    return json;
  }

  /** What the files say about weights that nobody trained. */
  private Optional<String> random() {
    return Stream.of(transformer, textEncoder, vae)
        .flatMap(part -> part.random.stream())
        .findFirst();
  }

  private long parameters() {
    return transformer.parameters + textEncoder.parameters + vae.parameters;
  }

  private static Map<String, Object> object(Object... keysAndValues) {
    Map<String, Object> object = new LinkedHashMap<>();
    for (int i = 0; i < keysAndValues.length; i += 2) {
      object.put((String) keysAndValues[i], keysAndValues[i + 1]);
    }
    return object;
  }

  public String toText() {
    TransformerConfig config = description.transformer();
    ScaleSchedule schedule = description.schedule();
    List<String> lines = new ArrayList<>();
    lines.add(line("model", description.name() + ", " + millions(parameters())));
    random().ifPresent(note -> lines.add(line("weights", note)));
    lines.add(line("folder", description.folder().toString()));
    lines.add(
        line(
            "transformer",
            "%s, %d layers, %d heads of %d, width %d, hidden %d"
                .formatted(
                    millions(transformer.parameters),
                    config.depth(),
                    config.heads(),
                    config.headDim(),
                    config.width(),
                    config.hidden())));
    lines.add(
        line(
            "text encoder",
            "T5, %s, %d layers, width %d, up to %d tokens"
                .formatted(
                    millions(textEncoder.parameters),
                    t5.layers(),
                    t5.width(),
                    config.textMaxLength())));
    lines.add(
        line(
            "image tokenizer",
            "BSQ-VAE, %s, codes of %d bits, %d pixels a token"
                .formatted(millions(vae.parameters), tokenizer.channels(), pixelsPerToken())));
    lines.add(line("picture", width() + " x " + height() + " pixels"));
    lines.add(line("scales", schedule.toString()));
    lines.add(
        line(
            "tokens",
            schedule.totalTokens() + ", of which " + schedule.cachedTokens() + " are cached"));
    lines.add(
        line(
            "full KV cache",
            "%s in fp32, %s in bf16 for a picture with guidance"
                .formatted(Sizes.text(kvBytes(DType.F32)), Sizes.text(kvBytes(DType.BF16)))));
    lines.add(
        line(
            "sampling",
            "cfg %s, tau %s, top-p %s"
                .formatted(description.cfg(), description.tau(), description.topP())));
    lines.add(line("fingerprint", transformer.fingerprint));
    return String.join("\n", lines);
  }

  private static String line(String name, String value) {
    return "%-16s %s".formatted(name, value);
  }

  private static String millions(long parameters) {
    return String.format(Locale.ROOT, "%.1f M parameters", parameters / 1e6);
  }
}
