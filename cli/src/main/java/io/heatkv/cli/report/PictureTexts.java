package io.heatkv.cli.report;

import io.heatkv.GenerationRequest;
import io.heatkv.cli.options.ModelChoice;
import io.heatkv.family.PictureRequest;
import io.heatkv.image.PngText;
import io.heatkv.resource.Release;
import io.heatkv.sample.SamplingOptions;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/** How a picture was made, as texts inside its PNG: enough to draw it again. */
public final class PictureTexts {
  private PictureTexts() {}

  /**
   * The texts of a picture of a request.
   *
   * @param index of the picture
   * @param kv bytes of its cache
   * @param choice the model and where it runs
   * @param libtorch version
   * @param width of the picture in pixels
   * @param height of the picture in pixels
   */
  public static List<PngText> of(
      GenerationRequest request,
      int index,
      KvUse kv,
      ModelChoice choice,
      String libtorch,
      int width,
      int height) {
    return List.of(
        PngText.parameters(parameters(request, index, choice, width, height)),
        PngText.heatkv(Json.line(record(request, index, kv, choice, libtorch, width, height))));
  }

  /** Prompt, negative prompt and one line of settings, as image tools read it. */
  private static String parameters(
      GenerationRequest request, int index, ModelChoice choice, int width, int height) {
    PictureRequest picture = request.pictures().get(index);
    SamplingOptions sampling = picture.sampling();
    Map<String, String> settings = new LinkedHashMap<>();
    settings.put("Steps", String.valueOf(request.grids().count()));
    settings.put("Sampler", sampling.argmax() ? "Argmax" : choice.description().sampler());
    settings.put("CFG scale", numbers(sampling.cfg()));
    settings.put("Seed", String.valueOf(picture.seed()));
    settings.put("Size", width + "x" + height);
    settings.put("Model", choice.description().name());
    settings.put("Tau", numbers(sampling.tau()));
    if (sampling.topK() > 0) {
      settings.put("Top K", String.valueOf(sampling.topK()));
    }
    settings.put("Top P", number(sampling.topP()));
    settings.put("Version", "HeatKV " + Release.version());
    List<String> lines = new ArrayList<>(List.of(picture.prompt()));
    picture.negativePrompt().ifPresent(text -> lines.add("Negative prompt: " + text));
    lines.add(
        settings.entrySet().stream()
            .map(entry -> entry.getKey() + ": " + quoted(entry.getValue()))
            .collect(Collectors.joining(", ")));
    return String.join("\n", lines);
  }

  /** Readers split the line at commas outside quotes. */
  private static String quoted(String value) {
    return value.matches("[^,:\"\\n]*")
        ? value
        : '"' + value.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", " ") + '"';
  }

  private static String numbers(List<Double> values) {
    return values.stream().map(PictureTexts::number).collect(Collectors.joining(","));
  }

  private static String number(double value) {
    return value == Math.rint(value)
        ? String.format(Locale.ROOT, "%.0f", value)
        : String.valueOf(value);
  }

  private static Map<String, Object> record(
      GenerationRequest request,
      int index,
      KvUse kv,
      ModelChoice choice,
      String libtorch,
      int width,
      int height) {
    PictureRequest picture = request.pictures().get(index);
    SamplingOptions sampling = picture.sampling();
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("version", Release.version());
    json.put("prompt", picture.prompt());
    picture.negativePrompt().ifPresent(text -> json.put("negative_prompt", text));
    json.put("seed", picture.seed());
    json.put("width", width);
    json.put("height", height);
    json.put("model", choice.description().name());
    json.put("scales", request.grids().toString());
    json.put("cfg", sampling.cfg());
    json.put("tau", sampling.tau());
    if (sampling.topK() > 0) {
      json.put("top_k", sampling.topK());
    }
    json.put("top_p", sampling.topP());
    json.put("argmax", sampling.argmax());
    json.put("cfg_layers", cfgLayers(sampling));
    json.put("cache", request.policy().name());
    json.putAll(kv.toJson());
    // The kind: any of its devices draws the same.
    json.put("device", choice.device().type().toString().toLowerCase(Locale.ROOT));
    json.put("dtype", choice.dtype());
    json.put("libtorch", libtorch);
    return json;
  }

  private static List<Integer> cfgLayers(SamplingOptions sampling) {
    List<Integer> layers = new ArrayList<>(sampling.guidedLayers());
    if (sampling.guidanceOnLogits()) {
      layers.add(0);
    }
    layers.sort(null);
    return layers.reversed();
  }
}
