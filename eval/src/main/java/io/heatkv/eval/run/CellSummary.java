package io.heatkv.eval.run;

import io.heatkv.cache.KvMemory;
import io.heatkv.eval.Interval;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * All pictures of a policy under a budget.
 *
 * @param policy its name
 * @param budget as it was asked for
 * @param ratio of the full cache that the budget allows
 * @param kv bytes of keys and values of one picture, measured: of the batch that stored most
 * @param millis of the transformer for one picture, over batches
 * @param metrics by id
 * @param lead of HeatKV at the same budget over this, by the metrics' ids, picture by picture:
 *     positive where HeatKV is better; empty where HeatKV wasn't drawn, and for HeatKV itself
 * @param bits mean share of equal bits of each scale
 * @param divergence mean divergence of the bits of each scale; empty where it isn't measured
 */
public record CellSummary(
    String policy,
    String budget,
    double ratio,
    KvMemory kv,
    Interval millis,
    Map<String, Interval> metrics,
    Map<String, Interval> lead,
    List<Double> bits,
    List<Double> divergence) {
  public CellSummary {
    metrics = new LinkedHashMap<>(metrics);
    lead = new LinkedHashMap<>(lead);
    bits = List.copyOf(bits);
    divergence = List.copyOf(divergence);
  }

  /** The metric of an id, if it was measured. */
  public Optional<Interval> metric(String id) {
    @Nullable Interval found = metrics.get(id);
    return Optional.ofNullable(found);
  }

  /** HeatKV's lead by a metric, if both were measured. */
  public Optional<Interval> lead(String id) {
    @Nullable Interval found = lead.get(id);
    return Optional.ofNullable(found);
  }

  /** Policy and budget for people. */
  public String label() {
    return policy + " " + budget;
  }
}
