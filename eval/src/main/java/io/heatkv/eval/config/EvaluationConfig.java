package io.heatkv.eval.config;

import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import io.heatkv.error.UserException;
import io.heatkv.json.JsonObject;
import io.heatkv.schedule.Budget;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;

/**
 * A YAML file that describes evaluations of one model over one or more sets of prompts.
 *
 * @param title for people
 * @param sets at least one, with different names
 */
public record EvaluationConfig(String title, List<Preset> sets) {
  private static final long MOST_BYTES = 1 << 20;
  private static final Set<String> KEYS =
      Set.of("title", "resolution", "cfg", "tau", "policies", "budgets", "sets");
  private static final Set<String> SET_KEYS =
      Set.of("name", "title", "policies", "budgets", "seeds", "first", "images", "published");
  private static final Set<String> PUBLISHED_KEYS = Set.of("source", "note", "rows");

  public EvaluationConfig {
    sets = List.copyOf(sets);
  }

  /**
   * Reads a file.
   *
   * @throws UserException if it can't be read, is no YAML, has an unknown key, or a value is
   *     missing or wrong
   */
  public static EvaluationConfig read(Path file) {
    JsonObject yaml = parsed(file);
    requireKnown(yaml, KEYS);
    List<Preset> sets = new ArrayList<>();
    Set<String> names = new LinkedHashSet<>();
    for (JsonObject set : objects(yaml, "sets")) {
      requireKnown(set, SET_KEYS);
      Preset preset = preset(yaml, set);
      if (!names.add(preset.name())) {
        throw new UserException(
            file + ": sets has " + preset.name() + " twice; give every set a name of its own");
      }
      sets.add(preset);
    }
    if (sets.isEmpty()) {
      throw new UserException(file + ": sets is empty; expected at least one set of prompts");
    }
    return new EvaluationConfig(yaml.text("title"), sets);
  }

  private static JsonObject parsed(Path file) {
    try {
      if (!Files.isRegularFile(file)) {
        throw new UserException("config " + file + ": no such file; expected a YAML file");
      }
      if (Files.size(file) > MOST_BYTES) {
        throw new UserException("config " + file + " is larger than 1 MiB; expected a small file");
      }
      return JsonObject.parse(file, "YAML", new YAMLFactory().createParser(Files.readString(file)));
    } catch (IOException e) {
      throw new UserException(
          "config " + file + " can't be read (" + e.getMessage() + "); expected a YAML file", e);
    }
  }

  private static Preset preset(JsonObject yaml, JsonObject set) {
    String name = set.text("name");
    if (!name.matches("[a-z0-9][a-z0-9-]{0,30}")) {
      throw new UserException(
          "%s: name is '%s'; expected lower-case letters, digits and dashes"
              .formatted(set.source(), name));
    }
    List<Published> published = new ArrayList<>();
    if (set.has("published")) {
      objects(set, "published").forEach(one -> published.add(published(one)));
    }
    return new Preset(
        name,
        set.text("title"),
        texts(set.has("policies") ? set : yaml, "policies"),
        texts(set.has("budgets") ? set : yaml, "budgets"),
        set.size("seeds", 1),
        set.has("first") ? Optional.of(set.size("first")) : Optional.empty(),
        set.size("images", Preset.IMAGES),
        yaml.optionalText("resolution"),
        yaml.has("cfg") ? Optional.of(yaml.number("cfg")) : Optional.empty(),
        yaml.has("tau") ? Optional.of(yaml.number("tau")) : Optional.empty(),
        published);
  }

  private static Published published(JsonObject json) {
    requireKnown(json, PUBLISHED_KEYS);
    List<Published.Row> rows = new ArrayList<>();
    for (JsonObject row : objects(json, "rows")) {
      Map<String, Double> values = new LinkedHashMap<>();
      for (String key : row.values().keySet()) {
        if (!key.equals("policy") && !key.equals("budget")) {
          values.put(key, row.number(key));
        }
      }
      if (!row.has("budget")) {
        throw new UserException(
            "%s: %sbudget is missing; expected a text or a number"
                .formatted(row.source(), row.path()));
      }
      String budget = text(row, Objects.requireNonNull(row.values().get("budget")));
      try {
        Budget.parse(budget);
      } catch (UserException e) {
        throw new UserException(row.source() + ": " + row.path() + e.getMessage(), e);
      }
      rows.add(new Published.Row(row.text("policy"), budget, values));
    }
    return new Published(json.text("source"), json.optionalText("note").orElse(""), rows);
  }

  private static void requireKnown(JsonObject json, Set<String> known) {
    for (String key : json.values().keySet()) {
      if (!known.contains(key)) {
        throw new UserException(
            "%s: key %s%s is unknown; expected %s"
                .formatted(
                    json.source(),
                    json.path(),
                    key,
                    String.join(", ", known.stream().sorted().toList())));
      }
    }
  }

  @SuppressWarnings("unchecked")
  private static List<JsonObject> objects(JsonObject json, String key) {
    List<JsonObject> objects = new ArrayList<>();
    for (Object item : json.list(key)) {
      if (!(item instanceof Map<?, ?> map)) {
        throw new UserException(
            "%s: %s%s has %s; expected keys with values"
                .formatted(json.source(), json.path(), key, item));
      }
      objects.add(
          new JsonObject(
              json.source(),
              "%s%s[%d].".formatted(json.path(), key, objects.size() + 1),
              (Map<String, Object>) map));
    }
    return objects;
  }

  private static List<String> texts(JsonObject json, String key) {
    List<String> texts = json.list(key).stream().map(item -> text(json, item)).toList();
    if (texts.isEmpty()) {
      throw new UserException(
          "%s: %s%s is empty; expected a list".formatted(json.source(), json.path(), key));
    }
    return texts;
  }

  /** YAML reads {@code 0.1} as a number and {@code 10%} as a text. */
  private static String text(JsonObject json, Object item) {
    return switch (item) {
      case String text -> text;
      case Number number -> number.toString();
      default ->
          throw new UserException(
              "%s: %s has %s; expected a text or a number"
                  .formatted(json.source(), json.path(), item));
    };
  }
}
