package io.heatkv.server.http;

import io.heatkv.profile.CalibrationProfile;
import io.heatkv.schedule.Atom;
import io.heatkv.schedule.CacheSchedule;
import io.heatkv.schedule.CalibrationSetup;
import io.heatkv.schedule.HeadScores;
import io.heatkv.schedule.Level;
import io.heatkv.schedule.Precision;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** A calibration as numbers: who attends to what, and what a schedule makes of it. */
final class ProfileAnswer {
  private ProfileAnswer() {}

  /**
   * @param schedule of which is told when each head's keys and values of a source scale are gone,
   *     and at which level the last scale finds them
   */
  static Map<String, Object> of(CalibrationProfile profile, Optional<CacheSchedule> schedule) {
    CalibrationSetup setup = profile.setup();
    HeadScores scores = profile.scores();
    int sources = setup.grids().count() - 1;
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("scales", setup.grids().scales().stream().map(Object::toString).toList());
    json.put("layers", setup.layers());
    json.put("heads", setup.heads());
    json.put("sink_scales", setup.sinkScales());
    json.put("prompts", profile.promptsDone());
    json.put(
        "scores",
        list(
            sources,
            source ->
                scores.isScored(source)
                    ? list(
                        setup.layers(),
                        layer -> list(setup.heads(), head -> scores.score(source, layer, head)))
                    : null));
    schedule.ifPresent(planned -> {
      json.put("kv_budget", planned.budget());
      json.put("gone_at", goneAt(setup, sources, planned));
      Map<Atom, Level> last = planned.seen(sources);
      List<Level> levels = Level.ALL.stream().filter(last::containsValue).toList();
      json.put("levels", levels.stream().map(ProfileAnswer::described).toList());
      json.put("level", atoms(setup, sources, atom -> levels.indexOf(last.get(atom))));
    });
    return json;
  }

  private static Map<String, Object> described(Level level) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("name", level.toString());
    // Of 16 bits of every token.
    double entry = level.precision().entryGranules() / (double) Precision.FLOAT16.entryGranules();
    json.put("share", entry / (level.pool() * level.pool()));
    return json;
  }

  /** The first scale that doesn't see it any more, or -1: [source][layer][head]. */
  private static List<?> goneAt(CalibrationSetup setup, int sources, CacheSchedule planned) {
    Map<Atom, Integer> gone = new HashMap<>();
    for (int scale = sources; scale > 0; scale--) {
      Set<Atom> seen = planned.seen(scale).keySet();
      for (int source = 0; source < scale; source++) {
        for (int layer = 0; layer < setup.layers(); layer++) {
          for (int head = 0; head < setup.heads(); head++) {
            Atom atom = new Atom(source, head, layer);
            if (!seen.contains(atom)) {
              gone.put(atom, scale);
            }
          }
        }
      }
    }
    return atoms(setup, sources, atom -> gone.getOrDefault(atom, -1));
  }

  private static List<?> atoms(
      CalibrationSetup setup, int sources, Function<Atom, Integer> number) {
    return list(
        sources,
        source ->
            list(
                setup.layers(),
                layer -> list(setup.heads(), head -> number.apply(new Atom(source, head, layer)))));
  }

  private static List<?> list(int size, IntFunction<@Nullable Object> item) {
    List<@Nullable Object> items = new ArrayList<>();
    IntStream.range(0, size).forEach(i -> items.add(item.apply(i)));
    return Collections.unmodifiableList(items);
  }
}
