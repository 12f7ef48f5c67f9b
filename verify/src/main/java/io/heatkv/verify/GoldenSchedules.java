package io.heatkv.verify;

import io.heatkv.error.UserException;
import io.heatkv.json.JsonObject;
import io.heatkv.profile.OrdersFile;
import io.heatkv.schedule.HeadOrders;
import io.heatkv.schedule.PruningSchedule;
import io.heatkv.schedule.ScheduleShape;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Pruning schedules of published head orders, which lie in the folder or the one above it. */
public final class GoldenSchedules implements GoldenReader {
  private static final Pattern FILE = Pattern.compile("([a-z0-9-]{1,40})_b[0-9.]{1,24}\\.json");

  @Override
  public boolean isIn(Golden golden) {
    return !golden.files(FILE).isEmpty();
  }

  @Override
  public void verify(Golden golden, Consumer<Check> checks) {
    for (String file : golden.files(FILE)) {
      Matcher name = FILE.matcher(file);
      if (name.matches()) {
        JsonObject recorded = JsonObject.read(golden.folder().resolve(file));
        compare(
            "schedule " + file.replace(".json", ""),
            PruningSchedule.of(
                shape(recorded),
                orders(golden, name.group(1), recorded),
                recorded.number("budget")),
            recorded,
            checks);
      }
    }
  }

  private static ScheduleShape shape(JsonObject recorded) {
    return new ScheduleShape(
        recorded.size("num_layers"),
        recorded.size("num_heads"),
        recorded.list("scale_tokens").stream()
            .mapToInt(count -> count instanceof Double number ? number.intValue() : 0)
            .toArray(),
        (int) recorded.number("protected_prefix_scales"),
        (int) recorded.number("source_scale_start"),
        (int) recorded.number("source_scale_end"));
  }

  private static HeadOrders orders(Golden golden, String model, JsonObject recorded) {
    String name = "orders-" + model + ".json";
    Path file = golden.folder().resolve(name);
    if (!golden.has(name)) {
      file = golden.folder().resolveSibling(name);
      golden.known().add(name);
    }
    if (!Files.isRegularFile(file)) {
      throw new UserException(
          golden.folder() + ": has schedules of " + model + ", but no " + name + " beside them");
    }
    ScheduleShape shape = shape(recorded);
    return OrdersFile.read(
        file, shape.layers(), shape.heads(), shape.firstSource(), shape.lastSource());
  }

  private static void compare(
      String label, PruningSchedule actual, JsonObject recorded, Consumer<Check> checks) {
    Comparison comparison = new Comparison(label, 0);
    comparison.addExact(actual.sha256(), recorded.text("sha256"));
    comparison.addExact((double) actual.peakTokens(), recorded.number("peak_total_tokens"));
    List<List<Double>> totals = new ArrayList<>();
    for (int t = 0; t < actual.shape().scales() - 1; t++) {
      List<Double> layers = new ArrayList<>();
      for (int l = 0; l < actual.shape().layers(); l++) {
        layers.add((double) actual.total(t, l));
      }
      totals.add(layers);
    }
    comparison.addExact(totals, recorded.list("total_tokens_after_scale_layer"));
    comparison.report(checks);
  }
}
