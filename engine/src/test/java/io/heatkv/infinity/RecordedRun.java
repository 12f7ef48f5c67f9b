package io.heatkv.infinity;

import io.heatkv.TestDevice;
import io.heatkv.json.JsonObject;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Options of one run of golden-extra, as its recorded.json has them. */
record RecordedRun(String name, JsonObject options) {
  static final int DEPTH = 4;
  static final int CODE_CHANNELS = 4;

  static List<RecordedRun> all() {
    JsonObject runs =
        JsonObject.read(TestDevice.resource("/golden-extra/recorded.json")).object("runs");
    return runs.values().keySet().stream()
        .map(name -> new RecordedRun(name, runs.object(name)))
        .toList();
  }

  TransformerConfig config() {
    return new TransformerConfig(
        DEPTH,
        32,
        2,
        256,
        bits(),
        128,
        16,
        2,
        options.flag("cosine", true),
        RotaryNormalization.of((int) options.number("rope")),
        options.flag("level_once", true),
        patchify());
  }

  boolean patchify() {
    return options.flag("patchify", false);
  }

  /** Bits of a token. */
  int bits() {
    return patchify() ? 4 * CODE_CHANNELS : CODE_CHANNELS;
  }

  ScaleGrids grids() {
    return ScaleTemplate.nearest(options.number("template"))
        .grids(Resolution.parse(options.text("pn")));
  }

  List<Integer> texts() {
    return numbers("texts").stream().map(Double::intValue).toList();
  }

  Optional<Integer> negative() {
    return options.has("negative")
        ? Optional.of((int) options.number("negative"))
        : Optional.empty();
  }

  boolean sampled() {
    return options.number("top_p") > 0;
  }

  SamplingOptions sampling() {
    List<Double> guided = numbers("guided");
    Set<Integer> layers = new HashSet<>();
    guided.stream().filter(layer -> layer < 0).forEach(layer -> layers.add(layer.intValue()));
    return new SamplingOptions(
        numbers("cfg"),
        numbers("tau"),
        0,
        sampled() ? options.number("top_p") : 1,
        !sampled(),
        guided.contains(0.0),
        layers,
        1);
  }

  /** Positions in [batch, tokens, bits] whose bit rounding may turn. */
  Set<Integer> near(int scale) {
    Set<Integer> near = new HashSet<>();
    for (Object item : options.list("near")) {
      if (item instanceof List<?> pair
          && pair.get(0) instanceof Double at
          && pair.get(1) instanceof Double position
          && at == scale) {
        near.add(position.intValue());
      }
    }
    return near;
  }

  private List<Double> numbers(String key) {
    List<Double> numbers = new ArrayList<>();
    for (Object item : options.list(key)) {
      numbers.add((Double) item);
    }
    return numbers;
  }

  @Override
  public String toString() {
    return name;
  }
}
