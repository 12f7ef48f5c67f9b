package io.heatkv.schedule;

import java.util.Comparator;
import java.util.function.IntConsumer;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;

/**
 * The canonical text of a schedule, equal to the reference's byte for byte.
 *
 * <p>{@code {"early_activation_by_scale": {scale: {layer: [atoms]}}, "removed_heads_by_scale":
 * {scale: [atoms]}}} without spaces; keys sort as text, atoms are {@code [source, head, layer]}.
 */
final class ScheduleJson {
  private final PruningSchedule schedule;
  private final StringBuilder out = new StringBuilder();

  private ScheduleJson(PruningSchedule schedule) {
    this.schedule = schedule;
  }

  static String canonical(PruningSchedule schedule) {
    return new ScheduleJson(schedule).text();
  }

  private String text() {
    int scales = schedule.shape().scales();
    out.append("{\"early_activation_by_scale\":");
    map(scales, t -> true, this::early);
    out.append(",\"removed_heads_by_scale\":");
    map(scales, t -> true, t -> atoms(schedule.removedCodes(t)));
    return out.append('}').toString();
  }

  private void early(int scale) {
    map(
        schedule.shape().layers(),
        l -> schedule.earlyCodes(scale, l).length > 0,
        l -> atoms(schedule.earlyCodes(scale, l)));
  }

  private void map(int count, IntPredicate present, IntConsumer value) {
    int[] keys =
        IntStream.range(0, count)
            .filter(present)
            .boxed()
            .sorted(Comparator.comparing(String::valueOf))
            .mapToInt(Integer::intValue)
            .toArray();
    out.append('{');
    for (int i = 0; i < keys.length; i++) {
      out.append(i == 0 ? "\"" : ",\"").append(keys[i]).append("\":");
      value.accept(keys[i]);
    }
    out.append('}');
  }

  private void atoms(int[] codes) {
    out.append('[');
    for (int i = 0; i < codes.length; i++) {
      Atom atom = schedule.shape().atom(codes[i]);
      out.append(i == 0 ? "[" : ",[");
      out.append(atom.source()).append(',').append(atom.head()).append(',').append(atom.layer());
      out.append(']');
    }
    out.append(']');
  }
}
