package io.heatkv.schedule;

import io.heatkv.json.JsonFile;
import java.util.Map;
import java.util.TreeMap;

/**
 * The text of a plan of levels: format, version and sizes, then for each scale the atoms that it
 * finds by their level, {@code {scale: {level: [[source, head, layer], …]}}}; atoms are sorted,
 * those that are dropped aren't named.
 */
final class LevelJson {
  private static final int VERSION = 2;

  private LevelJson() {}

  static String canonical(LevelShape shape, LevelPlan plan) {
    return JsonFile.text(out -> {
      out.writeStartObject();
      out.writeStringField("format", "heatkv-schedule");
      out.writeNumberField("version", VERSION);
      out.writeNumberField("layers", shape.sizes().layers());
      out.writeNumberField("heads", shape.sizes().heads());
      out.writeStringField("scale_schedule", shape.grids().toString());
      out.writeObjectFieldStart("levels_by_scale");
      for (int t = 0; t < shape.sizes().scales(); t++) {
        out.writeObjectFieldStart(String.valueOf(t));
        Map<Atom, Level> seen = new TreeMap<>(plan.seen(t));
        for (Level level : Level.ALL) {
          if (seen.containsValue(level)) {
            out.writeArrayFieldStart(level.toString());
            for (Map.Entry<Atom, Level> entry : seen.entrySet()) {
              if (entry.getValue().equals(level)) {
                Atom atom = entry.getKey();
                int[] place = {atom.source(), atom.head(), atom.layer()};
                out.writeArray(place, 0, place.length);
              }
            }
            out.writeEndArray();
          }
        }
        out.writeEndObject();
      }
      out.writeEndObject();
      out.writeEndObject();
    });
  }
}
