package io.heatkv.eval.run;

import io.heatkv.error.UserException;
import io.heatkv.json.JsonFile;
import io.heatkv.json.JsonObject;
import io.heatkv.json.JsonValue;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Everything that decides the results of an evaluation, as texts by key: model, prompts, policies,
 * budgets, seeds, sampling, device, versions.
 *
 * @param values in the order in which they are shown
 */
public record EvaluationSettings(Map<String, String> values) {
  /** The key of this program's version, by which its settings are known. */
  public static final String VERSION = "heatkv";

  public EvaluationSettings {
    values = Collections.unmodifiableMap(new LinkedHashMap<>(values));
  }

  /**
   * @throws UserException if the file can't be written
   */
  void write(Path file) {
    JsonFile.write(file, json -> JsonValue.write(json, values));
  }

  /**
   * @throws UserException if the file is no JSON
   */
  static EvaluationSettings read(Path file) {
    Map<String, String> values = new LinkedHashMap<>();
    JsonObject.read(file).values().forEach((key, value) -> values.put(key, value.toString()));
    return new EvaluationSettings(values);
  }

  /** The first difference from other settings, in words. */
  Optional<String> difference(EvaluationSettings other) {
    Set<String> keys = new LinkedHashSet<>(values.keySet());
    keys.addAll(other.values.keySet());
    for (String key : keys) {
      String own = values.getOrDefault(key, "none");
      String others = other.values.getOrDefault(key, "none");
      if (!own.equals(others)) {
        return Optional.of("%s %s, not %s".formatted(key, shortened(own), shortened(others)));
      }
    }
    return Optional.empty();
  }

  private static String shortened(String text) {
    return text.length() > 40 ? text.substring(0, 40) + "…" : text;
  }
}
