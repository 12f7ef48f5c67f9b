package io.heatkv.cli.report;

import io.heatkv.cli.console.Sizes;
import io.heatkv.load.ModelDescription;
import io.heatkv.load.NetworkSummary;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.DType;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * What a model is, read from its files without loading it.
 *
 * @param description the model
 * @param networks of its files, the transformer first
 */
public record ModelSummary(ModelDescription description, List<NetworkSummary> networks) {
  public static ModelSummary of(ModelDescription model) {
    return new ModelSummary(model, model.networks());
  }

  /** Bytes of the full cache of one picture, both guidance halves counted. */
  private long kvBytes(DType dtype) {
    return description.kvShape(dtype, description.grids()).fullBytes();
  }

  private int width() {
    return description.grids().last().width() * description.pixelsPerToken();
  }

  private int height() {
    return description.grids().last().height() * description.pixelsPerToken();
  }

  public Map<String, Object> toJson() {
    ScaleGrids grids = description.grids();
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("name", description.name());
    json.put("folder", description.folder());
    json.put("parameters", parameters());
    random().ifPresent(note -> json.put("weights", note));
    for (NetworkSummary network : networks) {
      Map<String, Object> one = new LinkedHashMap<>();
      one.put("parameters", network.parameters());
      one.putAll(network.sizes());
      one.put("fingerprint", network.fingerprint());
      json.put(network.key(), one);
    }
    json.put("image", object("width", width(), "height", height()));
    json.put("scales", grids);
    json.put("tokens", grids.totalTokens());
    json.put("cached_tokens", grids.cachedTokens());
    json.put("kv_bytes", object("fp32", kvBytes(DType.F32), "bf16", kvBytes(DType.BF16)));
    SamplingOptions sampling = description.sampling();
    Map<String, Object> drawing =
        object("cfg", description.cfg(), "tau", description.tau(), "top_p", sampling.topP());
    if (sampling.topK() > 0) {
      drawing.put("top_k", sampling.topK());
    }
    json.put("sampling", drawing);
    return json;
  }

  /** What the files say about weights that nobody trained. */
  private Optional<String> random() {
    return networks.stream().flatMap(network -> network.random().stream()).findFirst();
  }

  private long parameters() {
    return networks.stream().mapToLong(NetworkSummary::parameters).sum();
  }

  private static Map<String, Object> object(Object... keysAndValues) {
    Map<String, Object> object = new LinkedHashMap<>();
    for (int i = 0; i < keysAndValues.length; i += 2) {
      object.put((String) keysAndValues[i], keysAndValues[i + 1]);
    }
    return object;
  }

  public String toText() {
    ScaleGrids grids = description.grids();
    List<String> lines = new ArrayList<>();
    lines.add(line("model", description.name() + ", " + millions(parameters())));
    random().ifPresent(note -> lines.add(line("weights", note)));
    lines.add(line("folder", description.folder().toString()));
    networks.forEach(network ->
        lines.add(line(network.label(), network.text().formatted(millions(network.parameters())))));
    lines.add(line("picture", width() + " x " + height() + " pixels"));
    lines.add(line("scales", grids.toString()));
    lines.add(
        line("tokens", grids.totalTokens() + ", of which " + grids.cachedTokens() + " are cached"));
    lines.add(
        line(
            "full KV cache",
            "%s in fp32, %s in bf16 for a picture with guidance"
                .formatted(Sizes.text(kvBytes(DType.F32)), Sizes.text(kvBytes(DType.BF16)))));
    int topK = description.sampling().topK();
    lines.add(
        line(
            "sampling",
            "cfg %s, tau %s, %stop-p %s"
                .formatted(
                    description.cfg(),
                    description.tau(),
                    topK == 0 ? "" : "top-k " + topK + ", ",
                    description.topP())));
    lines.add(line("fingerprint", networks.getFirst().fingerprint()));
    return String.join("\n", lines);
  }

  private static String line(String name, String value) {
    return "%-16s %s".formatted(name, value);
  }

  private static String millions(long parameters) {
    return String.format(Locale.ROOT, "%.1f M parameters", parameters / 1e6);
  }
}
