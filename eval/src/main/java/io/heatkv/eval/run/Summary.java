package io.heatkv.eval.run;

import io.heatkv.cache.KvMemory;
import io.heatkv.eval.FrechetDistance;
import io.heatkv.eval.Interval;
import io.heatkv.tensor.Backend;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.IntStream;

/**
 * What all batches of an evaluation say together.
 *
 * @param prompts number of prompts
 * @param pictures number of pictures of each cell
 * @param metrics that were measured
 * @param fullBytes of keys and values of one picture with the full cache, measured
 * @param fullMillis of the transformer for one picture with the full cache
 * @param fullMetrics of the full cache's own pictures, by id: those that compare nothing
 * @param cells in the order of the settings
 * @param matches the budget at which each policy reaches the reference
 * @param processes most processes that drew on the device at once
 */
public record Summary(
    int prompts,
    int pictures,
    List<MetricInfo> metrics,
    long fullBytes,
    Interval fullMillis,
    Map<String, Interval> fullMetrics,
    List<CellSummary> cells,
    List<MatchingBudget> matches,
    int processes) {
  public Summary {
    metrics = List.copyOf(metrics);
    fullMetrics = new LinkedHashMap<>(fullMetrics);
    cells = List.copyOf(cells);
    matches = List.copyOf(matches);
  }

  /**
   * Sums up.
   *
   * @param batches all of them, in their order
   * @param backend computes distances of sets
   */
  public static Summary of(Evaluation evaluation, List<BatchResult> batches, Backend backend) {
    List<MetricInfo> metrics = measured(evaluation, batches);
    List<CellResult> full = batches.stream().map(BatchResult::full).toList();
    List<CellSummary> cells = new ArrayList<>();
    Map<String, List<double[]>> psnr = new LinkedHashMap<>();
    for (Cell cell : evaluation.cells()) {
      Map<String, Interval> intervals = new LinkedHashMap<>();
      for (MetricInfo metric : metrics) {
        List<CellResult> results = results(cell, batches);
        if (isOfSets(metric, full)) {
          intervals.put(metric.id(), distance(evaluation, metric, full, results, backend));
          continue;
        }
        List<double[]> values = byPrompt(evaluation, values(metric, results));
        intervals.put(metric.id(), Interval.of(values));
        if (metric.id().equals(Metrics.PSNR.id())) {
          psnr.put(cell.label(), values);
        }
      }
      cells.add(
          new CellSummary(
              cell.policy(),
              cell.budget(),
              cell.ratio(),
              results(cell, batches).stream()
                  .map(CellResult::kv)
                  .max(Comparator.comparingLong(KvMemory::storage))
                  .orElse(KvMemory.NONE),
              millis(batches, batch -> result(cell, batch)),
              intervals,
              lead(evaluation, cell, metrics, batches),
              means(results(cell, batches).stream().flatMap(r -> r.bits().stream()).toList()),
              means(
                  results(cell, batches).stream().flatMap(r -> r.divergence().stream()).toList())));
    }
    return new Summary(
        evaluation.prompts().size(),
        evaluation.pictures(),
        metrics,
        batches.stream().mapToLong(batch -> batch.full().kv().storage()).max().orElse(0),
        millis(batches, BatchResult::full),
        fullMetrics(evaluation, metrics, full),
        cells,
        MatchingBudget.all(evaluation.cells(), psnr),
        batches.stream().mapToInt(BatchResult::processes).max().orElse(1));
  }

  /** The cell of a policy and a budget's ratio. */
  public Optional<CellSummary> cell(String policy, double ratio) {
    return cells.stream()
        .filter(cell -> cell.policy().equals(policy) && Math.abs(cell.ratio() - ratio) < 1e-9)
        .findFirst();
  }

  /** Ratios of the budgets, ascending. */
  public List<Double> ratios() {
    return cells.stream().map(CellSummary::ratio).distinct().sorted().toList();
  }

  private static CellResult result(Cell cell, BatchResult batch) {
    return batch.cells().stream().filter(r -> r.isOf(cell)).findFirst().orElseThrow();
  }

  private static List<CellResult> results(Cell cell, List<BatchResult> batches) {
    return batches.stream().map(batch -> result(cell, batch)).toList();
  }

  private static Map<String, Interval> lead(
      Evaluation evaluation, Cell cell, List<MetricInfo> metrics, List<BatchResult> batches) {
    Optional<Cell> reference =
        evaluation.cells().stream()
            .filter(one -> one.policy().equals(MatchingBudget.REFERENCE))
            .filter(one -> one.ratio() == cell.ratio() && !one.equals(cell))
            .findFirst();
    Map<String, Interval> lead = new LinkedHashMap<>();
    for (MetricInfo metric : metrics) {
      double[] values = values(metric, results(cell, batches));
      if (reference.isPresent() && values.length > 0) {
        List<double[]> own =
            byPrompt(evaluation, values(metric, results(reference.get(), batches)));
        List<double[]> others = byPrompt(evaluation, values);
        lead.put(
            metric.id(),
            metric.direction() == MetricInfo.Direction.HIGHER
                ? Interval.ofDifferences(own, others)
                : Interval.ofDifferences(others, own));
      }
    }
    return lead;
  }

  /** Sets need two pictures or more, and an interval two prompts. */
  private static List<MetricInfo> measured(Evaluation evaluation, List<BatchResult> batches) {
    CellResult first = batches.getFirst().cells().getFirst();
    return Metrics.all().stream()
        .filter(metric ->
            first.values().containsKey(metric.id())
                || (evaluation.prompts().size() > 1 && first.features().containsKey(metric.id())))
        .toList();
  }

  private static boolean isOfSets(MetricInfo metric, List<CellResult> full) {
    return full.getFirst().features().containsKey(metric.id());
  }

  private static Map<String, Interval> fullMetrics(
      Evaluation evaluation, List<MetricInfo> metrics, List<CellResult> full) {
    Map<String, Interval> intervals = new LinkedHashMap<>();
    for (MetricInfo metric : metrics) {
      if (full.getFirst().values().containsKey(metric.id())) {
        intervals.put(metric.id(), Interval.of(byPrompt(evaluation, values(metric, full))));
      }
    }
    return intervals;
  }

  private static double[] values(MetricInfo metric, List<CellResult> results) {
    return results.stream()
        .flatMap(result -> result.values().getOrDefault(metric.id(), List.of()).stream())
        .mapToDouble(Double::doubleValue)
        .toArray();
  }

  private static Interval distance(
      Evaluation evaluation,
      MetricInfo metric,
      List<CellResult> full,
      List<CellResult> results,
      Backend backend) {
    List<float[]> a = features(metric, full);
    List<float[]> b = features(metric, results);
    int seeds = evaluation.seeds();
    return Interval.ofStatistic(
        evaluation.prompts().size(),
        prompts ->
            prompts.length * seeds < 2
                ? Double.NaN
                : FrechetDistance.of(
                    backend, chosen(a, prompts, seeds), chosen(b, prompts, seeds)));
  }

  private static List<float[]> features(MetricInfo metric, List<CellResult> results) {
    return results.stream()
        .flatMap(result -> result.features().getOrDefault(metric.id(), List.of()).stream())
        .toList();
  }

  private static List<float[]> chosen(List<float[]> all, int[] prompts, int seeds) {
    List<float[]> chosen = new ArrayList<>();
    for (int prompt : prompts) {
      chosen.addAll(all.subList(prompt * seeds, (prompt + 1) * seeds));
    }
    return chosen;
  }

  private static List<double[]> byPrompt(Evaluation evaluation, double[] values) {
    int seeds = evaluation.seeds();
    return IntStream.range(0, evaluation.prompts().size())
        .mapToObj(p -> Arrays.copyOfRange(values, p * seeds, (p + 1) * seeds))
        .toList();
  }

  /** A process's first batch is left out where there are others. */
  private static Interval millis(
      List<BatchResult> batches, Function<BatchResult, CellResult> result) {
    boolean anySettled = batches.stream().anyMatch(BatchResult::settled);
    return Interval.of(
        batches.stream()
            .filter(batch -> batch.settled() || !anySettled)
            .map(batch -> new double[] {result.apply(batch).millis()})
            .toList());
  }

  private static List<Double> means(List<List<Double>> rows) {
    List<Double> means = new ArrayList<>();
    for (int t = 0; !rows.isEmpty() && t < rows.getFirst().size(); t++) {
      int scale = t;
      means.add(rows.stream().mapToDouble(row -> row.get(scale)).average().orElseThrow());
    }
    return means;
  }
}
