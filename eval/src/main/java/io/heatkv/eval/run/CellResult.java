package io.heatkv.eval.run;

import com.fasterxml.jackson.core.JsonGenerator;
import io.heatkv.cache.KvMemory;
import io.heatkv.cache.KvParts;
import io.heatkv.eval.Drawing;
import io.heatkv.json.JsonObject;
import io.heatkv.json.JsonValue;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a batch gave under one policy and budget; numbers are for one picture.
 *
 * @param policy its name
 * @param budget as it was asked for
 * @param kv bytes of keys and values, measured
 * @param millis of the transformer
 * @param values of each metric, one for each picture
 * @param features of each metric that compares sets, one array for each picture
 * @param bits share of equal bits [picture][scale]; empty for the full cache
 * @param divergence of the bits [picture][scale]; empty where it isn't measured
 */
public record CellResult(
    String policy,
    String budget,
    KvMemory kv,
    double millis,
    Map<String, List<Double>> values,
    Map<String, List<float[]>> features,
    List<List<Double>> bits,
    List<List<Double>> divergence) {
  public CellResult {
    values = Map.copyOf(values);
    features = Map.copyOf(features);
    bits = List.copyOf(bits);
    divergence = List.copyOf(divergence);
  }

  /** Takes memory and time from a drawing. */
  static CellResult of(
      String policy,
      String budget,
      Drawing drawn,
      Map<String, List<Double>> values,
      Map<String, List<float[]>> features,
      List<List<Double>> bits) {
    int pictures = drawn.pictures().size();
    return new CellResult(
        policy,
        budget,
        drawn.result().kv().each(pictures),
        drawn.result().timings().transformer() / pictures,
        values,
        features,
        bits,
        drawn.divergence().stream().map(one -> one.scales()).toList());
  }

  boolean isOf(Cell cell) {
    return policy.equals(cell.policy()) && budget.equals(cell.budget());
  }

  void write(JsonGenerator json) throws IOException {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("policy", policy);
    map.put("budget", budget);
    map.putAll(kv.toJson());
    map.put("ms", millis);
    Map<String, Object> sorted = new LinkedHashMap<>();
    values.keySet().stream().sorted().forEach(key -> sorted.put(key, values.get(key)));
    map.put("values", sorted);
    Map<String, Object> encoded = new LinkedHashMap<>();
    features.keySet().stream()
        .sorted()
        .forEach(key ->
            encoded.put(
                key, features.getOrDefault(key, List.of()).stream().map(Floats::text).toList()));
    map.put("features", encoded);
    map.put("equal_bits_by_scale", bits);
    map.put("kl_by_scale", divergence);
    JsonValue.write(json, map);
  }

  static CellResult read(JsonObject json) {
    JsonObject values = json.object("values");
    Map<String, List<Double>> read = new LinkedHashMap<>();
    for (String key : values.values().keySet()) {
      read.put(key, numbers(values.list(key)));
    }
    JsonObject features = json.object("features");
    Map<String, List<float[]>> decoded = new LinkedHashMap<>();
    for (String key : features.values().keySet()) {
      decoded.put(
          key, features.list(key).stream().map(text -> Floats.parse((String) text)).toList());
    }
    return new CellResult(
        json.text("policy"),
        json.text("budget"),
        kv(json),
        json.number("ms"),
        read,
        decoded,
        rows(json.list("equal_bits_by_scale")),
        rows(json.list("kl_by_scale")));
  }

  private static KvMemory kv(JsonObject json) {
    return new KvMemory(
        (long) json.number("kv_bytes"),
        new KvParts(
            (long) json.number("kv_number_bytes"),
            (long) json.number("kv_loss_bytes"),
            (long) json.number("kv_table_bytes")),
        (long) json.number("kv_current_scale_bytes"),
        (long) json.number("kv_workspace_bytes"));
  }

  private static List<List<Double>> rows(List<?> list) {
    return list.stream().map(row -> numbers((List<?>) row)).toList();
  }

  private static List<Double> numbers(List<?> list) {
    return list.stream().map(number -> ((Number) number).doubleValue()).toList();
  }
}
