package io.heatkv.profile;

import io.heatkv.error.UserException;
import io.heatkv.json.JsonObject;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.AttentionStatistics;
import io.heatkv.schedule.CalibrationSetup;
import io.heatkv.schedule.HeadOrders;
import io.heatkv.schedule.HeadScores;
import io.heatkv.schedule.LevelCosts;
import io.heatkv.schedule.RemovalCosts;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Reads what {@link ProfileWriter} writes, and believes nothing that it can check. */
final class ProfileReader {
  private static final int LONGEST_TEXT = 1000;
  private static final int MOST_SCALES = 64;

  private final JsonObject json;

  private ProfileReader(JsonObject json) {
    this.json = json;
  }

  static boolean isProfile(JsonObject json) {
    return json.optionalText("format").orElse("").equals(ProfileWriter.FORMAT);
  }

  /**
   * @throws UserException if the file is no sound profile
   */
  static CalibrationProfile read(Path file) {
    JsonObject json = JsonObject.read(file);
    if (!isProfile(json)) {
      throw new UserException(
          file + ": is no calibration profile; expected format " + ProfileWriter.FORMAT);
    }
    try {
      return new ProfileReader(json).profile();
    } catch (UserException e) {
      String message = String.valueOf(e.getMessage());
      throw message.startsWith(file.toString()) ? e : new UserException(file + ": " + message, e);
    }
  }

  private CalibrationProfile profile() {
    int version = json.size("version");
    if (version < 1 || version > ProfileWriter.VERSION) {
      throw new UserException(
          "has version %d; expected 1 to %d, calibrate again or use the program that wrote it"
              .formatted(version, ProfileWriter.VERSION));
    }
    CalibrationSetup setup =
        new CalibrationSetup(
            shortText("model"),
            shortText("fingerprint"),
            json.size("layers"),
            json.size("heads"),
            grids(),
            count("sink_scales", MOST_SCALES),
            doubles("cfg"),
            doubles("tau"),
            json.number("top_p"),
            json.has("top_k") ? count("top_k", Integer.MAX_VALUE) : 0,
            json.has("head_dim") ? json.size("head_dim") : 0);
    requireUnit(json, 0x1p-40);
    List<PromptSet> sets = promptSets();
    int done = count("prompts_done", HeadScores.MAX_PROMPTS);
    int prompts = count("prompts", HeadScores.MAX_PROMPTS);
    if (sets.stream().mapToLong(PromptSet::prompts).sum() != prompts || done > prompts) {
      throw contradiction("prompts, prompts_done and prompt_sets");
    }
    CalibrationProfile profile =
        new CalibrationProfile(
            json.source().toString(),
            setup,
            sets,
            HeadScores.of(setup, done, sums(json, "sums", setup)),
            statistics(setup, done),
            removalCosts(setup, done),
            levelCosts(setup, done));
    if (!json.text("prompts_sha256").equals(profile.promptsSha256())) {
      throw contradiction("prompts_sha256 and prompt_sets");
    }
    if (done > 0) {
      checkScores(profile.scores());
      checkOrders(profile.orders());
    }
    return profile;
  }

  private ScaleGrids grids() {
    String text = shortText("scale_schedule");
    if (!text.matches("[0-9x,]+")) {
      throw new UserException("scale_schedule can't be read; expected a list such as 1x1,2x2,4x4");
    }
    return ScaleGrids.parse(text);
  }

  private List<PromptSet> promptSets() {
    List<PromptSet> sets = new ArrayList<>();
    for (Object item : json.list("prompt_sets")) {
      if (!(item instanceof Map<?, ?> map
          && map.get("sha256") instanceof String sha256
          && map.get("prompts") instanceof Double prompts
          && prompts == prompts.intValue())) {
        throw new UserException("prompt_sets has a wrong entry; expected sha256 and prompts");
      }
      sets.add(new PromptSet(sha256, prompts.intValue()));
    }
    if (sets.isEmpty() || sets.stream().map(PromptSet::sha256).distinct().count() < sets.size()) {
      throw new UserException("prompt_sets is empty or counts a set twice; calibrate again");
    }
    return sets;
  }

  /** Sums [source - sink scales][layer][head]. */
  private static long[][][] sums(JsonObject object, String key, CalibrationSetup setup) {
    int sources = setup.grids().count() - 1 - setup.sinkScales();
    long[][][] sums = new long[sources][][];
    List<?> perSource = list(key, object.list(key), sources);
    for (int i = 0; i < sources; i++) {
      // Lists first: what a file claims takes no memory.
      List<?> perLayer = list(key, perSource.get(i), setup.layers());
      sums[i] = new long[setup.layers()][];
      for (int l = 0; l < setup.layers(); l++) {
        List<?> perHead = list(key, perLayer.get(l), setup.heads());
        sums[i][l] = perHead.stream().mapToLong(ProfileReader::whole).toArray();
      }
    }
    return sums;
  }

  private Optional<RemovalCosts> removalCosts(CalibrationSetup setup, int done) {
    if (done == 0) {
      return Optional.of(RemovalCosts.none(setup));
    }
    if (!json.has("removal_costs")) {
      return Optional.empty();
    }
    JsonObject costs = json.object("removal_costs");
    requireUnit(costs, RemovalCosts.UNIT);
    return Optional.of(RemovalCosts.of(done, setup.sinkScales(), sums(costs, "sums", setup)));
  }

  /** Sums in another unit would be read as other numbers. */
  private static void requireUnit(JsonObject object, double unit) {
    double stated = object.number("sum_unit", unit);
    if (stated != unit) {
      throw new UserException(
          "sum_unit is %s; expected %s, calibrate again".formatted(stated, unit));
    }
  }

  private Optional<LevelCosts> levelCosts(CalibrationSetup setup, int done) {
    if (done == 0) {
      return Optional.of(LevelCosts.none(setup));
    }
    if (!json.has("level_costs")) {
      return Optional.empty();
    }
    if (setup.headDim() == 0) {
      throw contradiction("level_costs and head_dim");
    }
    requireUnit(json.object("level_costs"), LevelCosts.UNIT);
    String key = "level_costs.sums";
    int sources = setup.grids().count() - 1;
    List<?> perSource = list(key, json.object("level_costs").list("sums"), sources);
    long[][][][] sums = new long[sources][][][];
    for (int s = 0; s < sources; s++) {
      List<?> perLayer = list(key, perSource.get(s), setup.layers());
      sums[s] = new long[setup.layers()][][];
      for (int l = 0; l < setup.layers(); l++) {
        List<?> perHead = list(key, perLayer.get(l), setup.heads());
        sums[s][l] =
            perHead.stream()
                .map(levels -> list(key, levels, LevelCosts.LEVELS))
                .map(levels -> levels.stream().mapToLong(ProfileReader::whole).toArray())
                .toArray(long[][]::new);
      }
    }
    return Optional.of(LevelCosts.of(done, sums));
  }

  private Optional<AttentionStatistics> statistics(CalibrationSetup setup, int done) {
    int scales = setup.grids().count();
    if (done == 0) {
      return Optional.of(AttentionStatistics.none(setup.layers(), setup.heads(), scales));
    }
    if (!json.has("statistics")) {
      return Optional.empty();
    }
    JsonObject statistics = json.object("statistics");
    return Optional.of(
        AttentionStatistics.of(
            done,
            rows(statistics, "selectivity", scales - 1, setup.layers()),
            rows(statistics, "attention_variance", setup.layers(), setup.heads()),
            rows(statistics, "key_distance", 1, setup.layers())[0]));
  }

  private static long[][] rows(JsonObject object, String key, int count, int length) {
    List<?> rows = object.list(key);
    long[][] sums = new long[count][];
    for (int i = 0; i < count; i++) {
      if (rows.size() != count || !(rows.get(i) instanceof List<?> row) || row.size() != length) {
        throw new UserException(
            "statistics.%s has a wrong shape; expected %d lists of %d"
                .formatted(key, count, length));
      }
      sums[i] = row.stream().mapToLong(ProfileReader::whole).toArray();
    }
    return sums;
  }

  private void checkScores(HeadScores scores) {
    int sources = scores.scales() - 1 - scores.sinkScales();
    List<?> perSource = list("scores", json.list("scores"), sources);
    for (int i = 0; i < sources; i++) {
      List<?> perLayer = list("scores", perSource.get(i), scores.layers());
      for (int l = 0; l < scores.layers(); l++) {
        List<?> perHead = list("scores", perLayer.get(l), scores.heads());
        for (int h = 0; h < scores.heads(); h++) {
          if (!(perHead.get(h) instanceof Double score
              && score == scores.score(scores.sinkScales() + i, l, h))) {
            throw contradiction("scores and sums");
          }
        }
      }
    }
  }

  private void checkOrders(HeadOrders expected) {
    HeadOrders orders =
        HeadOrders.parse(
            json.source().toString(),
            json.list("orders"),
            expected.layers(),
            expected.heads(),
            expected.firstSource(),
            expected.lastSource());
    if (!orders.equals(expected)) {
      throw contradiction("orders and sums");
    }
  }

  private static List<?> list(String key, Object value, int size) {
    if (value instanceof List<?> list && list.size() == size) {
      return list;
    }
    throw new UserException(
        key + " have a wrong shape; expected [source scale][layer][head], here a list of " + size);
  }

  private String shortText(String key) {
    String text = json.text(key);
    if (text.length() > LONGEST_TEXT || !text.codePoints().allMatch(ProfileReader::isPrintable)) {
      throw new UserException(
          key + " is too long or not printable; expected one line of " + LONGEST_TEXT + " letters");
    }
    return text;
  }

  private static boolean isPrintable(int point) {
    return switch (Character.getType(point)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.SURROGATE,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR ->
          false;
      default -> true;
    };
  }

  private int count(String key, int most) {
    double value = json.number(key);
    if (!(value >= 0 && value <= most && value == Math.rint(value))) {
      throw new UserException(key + " is " + value + "; expected a whole number, at most " + most);
    }
    return (int) value;
  }

  private List<Double> doubles(String key) {
    List<Double> values = new ArrayList<>();
    for (Object item : json.list(key)) {
      if (!(item instanceof Double value)) {
        throw new UserException(key + " has an entry that is no number; expected numbers");
      }
      values.add(value);
    }
    return values;
  }

  /** A whole number that was kept exactly. */
  private static long whole(Object value) {
    if (value instanceof Long number) {
      return number;
    }
    if (value instanceof Double number && number == number.longValue()) {
      return number.longValue();
    }
    throw new UserException("sums have an entry that is no whole number; expected 64-bit integers");
  }

  private static UserException contradiction(String what) {
    return new UserException(
        what + " contradict each other; calibrate again or take the file as it was written");
  }
}
