package io.heatkv.verify.infinity;

import io.heatkv.cache.KvStorage;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.json.JsonObject;
import io.heatkv.policy.HeatKvPolicy;
import io.heatkv.profile.OrdersFile;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.PruningSchedule;
import io.heatkv.schedule.ScheduleShape;
import io.heatkv.tensor.Scope;
import io.heatkv.verify.Check;
import io.heatkv.verify.Golden;
import io.heatkv.verify.GoldenReader;
import io.heatkv.verify.RecordedMethod;
import java.nio.file.Path;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Runs of the transformer under a pruning schedule, and the schedules themselves. */
public final class GoldenPrunedRuns implements GoldenReader {
  private static final String ORDERS = "tiny_orders.json";
  private static final Pattern FILE =
      Pattern.compile("heat_(\\d{1,2}\\.?\\d{0,5})_b(\\d?\\.?\\d{1,20})\\.safetensors");

  @Override
  public boolean isIn(Golden golden) {
    return GoldenInfinity.isIn(golden) && golden.has(ORDERS) && !golden.files(FILE).isEmpty();
  }

  @Override
  public void verify(Golden golden, Consumer<Check> checks) {
    try (GoldenInfinity infinity = GoldenInfinity.open(golden)) {
      for (String file : golden.files(FILE)) {
        Matcher name = FILE.matcher(file);
        if (name.matches()) {
          try (Checkpoint recorded = golden.open(file);
              Scope _ = Scope.open()) {
            String label = "pruned " + name.group(1) + " to " + name.group(2);
            ScaleGrids grids = infinity.grids(name.group(1), GoldenTransformer.scales(recorded));
            PruningSchedule pruning =
                schedule(golden, infinity, grids, Double.parseDouble(name.group(2)));
            String schedule = file.replace(".safetensors", ".schedule.json");
            if (golden.has(schedule)) {
              RecordedMethod.schedule(
                  label, pruning, JsonObject.read(golden.folder().resolve(schedule)), checks);
            }
            new GoldenTransformer(infinity.model(), infinity.text(0), recorded)
                .run(
                    label,
                    grids,
                    infinity.nearTies(file),
                    new HeatKvPolicy(pruning, KvStorage.NATIVE),
                    checks);
          }
        }
      }
    }
  }

  private static PruningSchedule schedule(
      Golden golden, GoldenInfinity infinity, ScaleGrids grids, double budget) {
    TransformerConfig config = infinity.config();
    Path file = golden.folder().resolve(ORDERS);
    JsonObject orders = JsonObject.read(file);
    ScheduleShape shape =
        new ScheduleShape(
            config.depth(),
            config.heads(),
            grids.tokens(),
            (int) orders.number("protected_prefix_scales"),
            (int) orders.number("source_scale_start"),
            (int) orders.number("source_scale_end"));
    return PruningSchedule.of(
        shape,
        OrdersFile.read(
            file, config.depth(), config.heads(), shape.firstSource(), shape.lastSource()),
        budget);
  }
}
