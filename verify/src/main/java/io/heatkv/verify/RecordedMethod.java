package io.heatkv.verify;

import io.heatkv.json.JsonObject;
import io.heatkv.schedule.Atom;
import io.heatkv.schedule.HeadOrders;
import io.heatkv.schedule.HeadScores;
import io.heatkv.schedule.PruningSchedule;
import java.util.List;
import java.util.function.Consumer;

/** What readers of all families compare of the method. */
public final class RecordedMethod {
  private RecordedMethod() {}

  /** Scores of all heads, layers and source scales, as they are recorded. */
  public static double[] values(HeadScores scores) {
    double[] values = new double[scores.layers() * scores.heads() * scores.scales()];
    for (int i = 0; i < values.length; i++) {
      int head = i / scores.scales();
      values[i] = scores.score(i % scores.scales(), head / scores.heads(), head % scores.heads());
    }
    return values;
  }

  /** Compares orders of heads. */
  public static void orders(
      String label, HeadOrders actual, HeadOrders expected, Consumer<Check> checks) {
    Comparison comparison = new Comparison(label + " orders", 0);
    for (int source = actual.firstSource(); source <= actual.lastSource(); source++) {
      for (int rank = 0; rank < actual.layers() * actual.heads(); rank++) {
        comparison.addExact(actual.atom(source, rank), expected.atom(source, rank));
      }
    }
    comparison.report(checks);
  }

  /** Compares what a schedule removes at every scale, for good and early. */
  public static void schedule(
      String label, PruningSchedule pruning, JsonObject recorded, Consumer<Check> checks) {
    Comparison comparison = new Comparison(label + " schedule", 0);
    JsonObject removed = recorded.object("removed_at_target");
    JsonObject ended = recorded.object("final_removed");
    JsonObject early = recorded.object("early");
    for (int t = 0; t < pruning.shape().scales(); t++) {
      String target = String.valueOf(t);
      comparison.addExact(numbers(pruning.removedAt(t)), removed.list(target));
      comparison.addExact(numbers(pruning.finalRemoved(t)), ended.list(target));
      for (int l = 0; l < pruning.shape().layers(); l++) {
        String layer = String.valueOf(l);
        JsonObject layers = early.object(target);
        comparison.addExact(
            numbers(pruning.early(t, l)), layers.has(layer) ? layers.list(layer) : List.of());
      }
    }
    comparison.report(checks);
  }

  /** Atoms as parsed JSON has them. */
  private static List<List<Double>> numbers(List<Atom> atoms) {
    return atoms.stream()
        .map(atom -> List.of((double) atom.source(), (double) atom.head(), (double) atom.layer()))
        .toList();
  }
}
