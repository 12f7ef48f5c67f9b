package io.heatkv.eval.run;

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
 * @param kvBytes of stored keys and values of one picture, measured: the most of all batches
 * @param millis of the transformer for one picture, over batches
 * @param metrics by id
 * @param bits mean share of equal bits of each scale
 * @param divergence mean divergence of the bits of each scale; empty where it isn't measured
 */
public record CellSummary(
    String policy,
    String budget,
    double ratio,
    long kvBytes,
    Interval millis,
    Map<String, Interval> metrics,
    List<Double> bits,
    List<Double> divergence) {
  public CellSummary {
    metrics = new LinkedHashMap<>(metrics);
    bits = List.copyOf(bits);
    divergence = List.copyOf(divergence);
  }

  /** The metric of an id, if it was measured. */
  public Optional<Interval> metric(String id) {
    @Nullable Interval found = metrics.get(id);
    return Optional.ofNullable(found);
  }

  /** Policy and budget for people. */
  public String label() {
    return policy + " " + budget;
  }
}
