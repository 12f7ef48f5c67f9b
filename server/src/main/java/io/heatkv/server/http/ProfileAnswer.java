package io.heatkv.server.http;

import io.heatkv.profile.CalibrationProfile;
import io.heatkv.schedule.Atom;
import io.heatkv.schedule.CalibrationSetup;
import io.heatkv.schedule.HeadScores;
import io.heatkv.schedule.PruningSchedule;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** A calibration as numbers: who attends to what, and what a schedule makes of it. */
final class ProfileAnswer {
  private ProfileAnswer() {}

  /**
   * @param schedule of which is told when each head's keys and values of a source scale are gone
   */
  static Map<String, Object> of(CalibrationProfile profile, Optional<PruningSchedule> schedule) {
    CalibrationSetup setup = profile.setup();
    HeadScores scores = profile.scores();
    int sources = setup.schedule().count() - 1;
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("scales", setup.schedule().scales().stream().map(Object::toString).toList());
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
    schedule.ifPresent(pruning -> {
      json.put("kv_budget", pruning.budget());
      json.put("gone_at", goneAt(setup, sources, pruning));
    });
    return json;
  }

  /** The first scale that doesn't see it any more, or -1: [source][layer][head]. */
  private static List<?> goneAt(CalibrationSetup setup, int sources, PruningSchedule pruning) {
    int[][][] gone = new int[sources][setup.layers()][setup.heads()];
    for (int scale = setup.schedule().count() - 1; scale >= 0; scale--) {
      for (Atom atom : pruning.removedAt(scale)) {
        gone[atom.source()][atom.layer()][atom.head()] = scale;
      }
    }
    return list(
        sources,
        source ->
            list(
                setup.layers(),
                layer ->
                    list(
                        setup.heads(),
                        head -> gone[source][layer][head] == 0 ? -1 : gone[source][layer][head])));
  }

  private static List<?> list(int size, IntFunction<@Nullable Object> item) {
    List<@Nullable Object> items = new ArrayList<>();
    IntStream.range(0, size).forEach(i -> items.add(item.apply(i)));
    return Collections.unmodifiableList(items);
  }
}
