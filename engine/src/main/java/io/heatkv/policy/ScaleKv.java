package io.heatkv.policy;

import io.heatkv.cache.AttentionRule;
import io.heatkv.cache.ObservedCandidates;
import io.heatkv.profile.ScaleKvBudgets;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.schedule.AttentionStatistics;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * ScaleKV (arXiv 2505.19602): layers that spread their attention (drafters) keep much, layers that
 * look at the current scale (refiners) keep little, and less with every scale.
 *
 * <ul>
 *   <li>Which layers: at each scale the attention selectivity index of the calibration, as Z-scores
 *       over layers; the lowest sixteenth of all (scale, layer) pairs are drafters. The paper
 *       leaves the number open; the authors' files have 5.6 % and 7.5 %. Or the authors' file says
 *       it, see {@link ScaleKvBudgets}.
 *   <li>How much (equation 4): refiners start at 600/650 of the mean, where the mean first is less
 *       than all, and lose 70/650 of it with every scale, down to a quarter; drafters get what they
 *       leave. A drafter that would get more than there is leaves the rest to the refiners, as in
 *       the authors' files. With such a file its Max, relative to the mean of its scale, takes the
 *       place of the decay; so it serves other budgets too.
 *   <li>Which tokens: an observation window of the centres of 4 × 4 patches of the map, here also
 *       of maps that aren't square; the last 16 tokens of smaller ones. The window stays, and the
 *       tokens with the most softmax attention from it (equation 5), pooled by the maximum of five
 *       as in the official code, where the paper says the mean.
 * </ul>
 *
 * <p>Layers change their budgets while a scale is drawn, and the bound holds meanwhile: the mean is
 * a little below the budget.
 */
final class ScaleKv implements AttentionRule {
  private static final double DRAFTERS = 1.0 / 16;
  private static final double FIRST = 600.0 / 650;
  private static final double DECAY = 70.0 / 650;
  private static final double LAST = 0.25;
  private static final int EDGE = 4;

  private final ScaleGrids grids;
  // [target scale][layer]
  private final boolean[][] drafters;
  // [target scale]: tokens of a drafter in units of the mean; NaN where the decay says it
  private final double[] shares;

  private ScaleKv(ScaleGrids grids, boolean[][] drafters, double[] shares) {
    this.grids = grids;
    this.drafters = drafters;
    this.shares = shares;
  }

  /** From the authors' file if one is named, else from the calibration. */
  static ScaleKv of(PolicyInputs inputs) {
    int layers = inputs.shape().layers();
    ScaleGrids grids = inputs.shape().grids();
    if (inputs.file().filter(ScaleKvBudgets::isIn).isPresent()) {
      return of(ScaleKvBudgets.read(inputs.file().get(), layers, grids.count()), layers, grids);
    }
    return of(inputs.profile().get().statistics(), layers, grids);
  }

  static ScaleKv of(ScaleKvBudgets budgets, int layers, ScaleGrids grids) {
    boolean[][] drafters = new boolean[grids.count()][layers];
    double[] shares = new double[grids.count()];
    for (int t = 0; t < grids.count(); t++) {
      for (int l = 0; l < layers; l++) {
        drafters[t][l] = budgets.isDrafter(t, l);
      }
      shares[t] = budgets.drafterShare(t);
    }
    return new ScaleKv(grids, drafters, shares);
  }

  static ScaleKv of(AttentionStatistics statistics, int layers, ScaleGrids grids) {
    record Pair(int target, int layer, double z) {}
    List<Pair> pairs = new ArrayList<>();
    for (int t = 1; t < grids.count(); t++) {
      int target = t;
      double[] values =
          IntStream.range(0, layers).mapToDouble(l -> statistics.selectivity(target, l)).toArray();
      double mean = IntStream.range(0, layers).mapToDouble(l -> values[l]).average().orElse(0);
      double variance =
          IntStream.range(0, layers)
              .mapToDouble(l -> (values[l] - mean) * (values[l] - mean))
              .average()
              .orElse(0);
      for (int l = 0; l < layers; l++) {
        // Layers that are all alike have no drafter among them rather than a random one.
        pairs.add(new Pair(t, l, (values[l] - mean) / (Math.sqrt(variance) + 1e-12)));
      }
    }
    pairs.sort(Comparator.comparingDouble(Pair::z));
    boolean[][] drafters = new boolean[grids.count()][layers];
    int count = (int) Math.max(1, Math.round(DRAFTERS * pairs.size()));
    for (Pair pair : pairs.subList(0, count)) {
      drafters[pair.target()][pair.layer()] = true;
    }
    double[] shares = new double[grids.count()];
    Arrays.fill(shares, Double.NaN);
    return new ScaleKv(grids, drafters, shares);
  }

  @Override
  public int least(ScaleGrids grids) {
    return ObservationWindow.SIZE;
  }

  @Override
  public double tokens(int scale, int layer, int head, double mean) {
    int target = scale + 1;
    double limit = grids.offset(target);
    if (mean >= limit) {
      return mean;
    }
    boolean[] isDrafter = drafters[target];
    double part =
        IntStream.range(0, isDrafter.length).filter(l -> isDrafter[l]).count()
            / (double) isDrafter.length;
    double wanted = mean * shares[target];
    if (Double.isNaN(wanted)) {
      double refiner = mean * Math.max(LAST, FIRST - DECAY * compressedScales(scale, mean));
      wanted = (mean - (1 - part) * refiner) / part;
    }
    return UnequalShares.of(isDrafter[layer], mean, wanted, part, limit);
  }

  /** Scales before one at which the mean was already less than all. */
  private int compressedScales(int scale, double mean) {
    int first = 0;
    while (grids.offset(first + 1) <= mean) {
      first++;
    }
    return scale - first;
  }

  @Override
  public int[] window(ScaleSize map) {
    if (map.height() < EDGE || map.width() < EDGE) {
      return ObservationWindow.last(map);
    }
    int rows = map.height() / EDGE;
    int columns = map.width() / EDGE;
    return IntStream.range(0, ObservationWindow.SIZE)
        .map(i ->
            (i / EDGE * rows + (rows - 1) / 2) * map.width()
                + i % EDGE * columns
                + (columns - 1) / 2)
        .toArray();
  }

  @Override
  public Tensor scores(ObservedCandidates candidates) {
    return ObservationWindow.maxPooled(candidates);
  }
}
