package io.heatkv.schedule;

import io.heatkv.error.UserException;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * Which atoms are removed at which scale and layer: fixed before the first token.
 *
 * <p>Within a scale the atoms that it loses go layer by layer, each right after the attention of
 * its own layer; where that leaves the cache above the budget, atoms of the last layers go early.
 * Made by {@link #of}, read by {@link CachePlan}.
 */
public final class PruningSchedule implements CacheSchedule {
  private static final int[] NONE = {};

  private final ScheduleShape shape;
  private final double budget;
  // [scale]: most heads that a source scale has lost when the scale begins
  private final int[] removedHeads;
  // [scale but the last]: atoms gone when the scale has ended, sorted
  private final int[][] ended;
  // [scale][layer]: atoms removed early, in order of activation
  private final int[][][] early;
  // [scale][layer]: head-tokens after the layer has written
  private final long[][] totals;

  PruningSchedule(
      ScheduleShape shape,
      double budget,
      int[] removedHeads,
      int[][] ended,
      int[][][] early,
      long[][] totals) {
    this.shape = shape;
    this.budget = budget;
    this.removedHeads = removedHeads;
    this.ended = ended;
    this.early = early;
    this.totals = totals;
  }

  /**
   * Builds the strict schedule, after strict_pruning_schedule_for_budget_scale_specific of the
   * reference.
   *
   * @param orders of at least the removable scales
   * @param budget ratio of the full cache
   * @throws UserException if the orders are of other heads or scales, or the budget is infeasible
   */
  public static PruningSchedule of(ScheduleShape shape, HeadOrders orders, double budget) {
    if (orders.layers() != shape.layers() || orders.heads() != shape.heads()) {
      throw new UserException(
          "the head orders are of %s layers of %s heads; expected %s layers of %s heads"
              .formatted(orders.layers(), orders.heads(), shape.layers(), shape.heads()));
    }
    if (orders.firstSource() > shape.firstSource() || orders.lastSource() < shape.lastSource()) {
      throw new UserException(
          "the head orders are of source scales %s to %s; expected %s to %s"
              .formatted(
                  orders.firstSource(),
                  orders.lastSource(),
                  shape.firstSource(),
                  shape.lastSource()));
    }
    return new ScheduleBuilder(shape, orders, budget).build();
  }

  /**
   * As above, with a budget as users give it.
   *
   * @param fullBytes of the full cache, to which a budget in bytes refers
   * @throws UserException also if so many bytes are infeasible
   */
  public static PruningSchedule of(
      ScheduleShape shape, HeadOrders orders, Budget budget, long fullBytes) {
    return of(shape, orders, RemovedHeads.ratio(shape, budget, fullBytes));
  }

  @Override
  public ScheduleShape shape() {
    return shape;
  }

  @Override
  public double budget() {
    return budget;
  }

  /**
   * Most heads that a source scale has lost when a scale begins. The paper's rule takes as many
   * from every source.
   */
  public int removedHeads(int scale) {
    return removedHeads[scale];
  }

  /** Head-tokens that the budget allows, over all layers. */
  public double thresholdTokens() {
    return RemovedHeads.threshold(shape, budget);
  }

  /**
   * Head-tokens in the cache, over all layers, after a layer has written its part of a scale other
   * than the last. Sink scales count from the scale after them on.
   */
  public long total(int scale, int layer) {
    return totals[scale][layer];
  }

  /** The largest total. */
  public long peakTokens() {
    return Arrays.stream(totals).flatMapToLong(Arrays::stream).max().orElseThrow();
  }

  @Override
  public double peakRatio() {
    return peakTokens() / (double) (shape.allHeads() * shape.fullTokens());
  }

  /** Atoms invisible to a scale, sorted: the final ones of the scale before and its own early. */
  public List<Atom> removedAt(int scale) {
    return atoms(Arrays.stream(removedCodes(scale)));
  }

  /** Atoms that are gone when a scale has ended, sorted. */
  public List<Atom> finalRemoved(int scale) {
    return atoms(Arrays.stream(finalCodes(scale)));
  }

  /** Atoms of later layers that go early when a layer has written, in order of activation. */
  public List<Atom> early(int scale, int layer) {
    return atoms(Arrays.stream(earlyCodes(scale, layer)));
  }

  /** Number of atoms invisible to a scale. */
  public int removedCount(int scale) {
    return removedCodes(scale).length;
  }

  @Override
  public Map<Atom, Level> seen(int scale) {
    Set<Atom> removed = new HashSet<>(removedAt(scale));
    Map<Atom, Level> seen = new LinkedHashMap<>();
    atoms(IntStream.range(0, scale * shape.allHeads())).stream()
        .filter(atom -> !removed.contains(atom))
        .forEach(atom -> seen.put(atom, Level.ALL.getFirst()));
    return seen;
  }

  /** The schedule as the reference writes it: see {@link ScheduleJson}. */
  @Override
  public String canonicalJson() {
    return ScheduleJson.canonical(this);
  }

  int[] earlyCodes(int scale, int layer) {
    return scale == shape.scales() - 1 ? NONE : early[scale][layer];
  }

  int[] removedCodes(int scale) {
    int[] before = scale == 0 ? NONE : finalCodes(scale - 1);
    int count = before.length;
    for (int l = 0; l < shape.layers(); l++) {
      count += earlyCodes(scale, l).length;
    }
    int[] codes = Arrays.copyOf(before, count);
    int next = before.length;
    for (int l = 0; l < shape.layers(); l++) {
      for (int code : earlyCodes(scale, l)) {
        codes[next++] = code;
      }
    }
    Arrays.sort(codes);
    return codes;
  }

  int[] finalCodes(int scale) {
    // Nothing is removed by the last scale, which isn't cached.
    return ended[Math.min(scale, ended.length - 1)];
  }

  private List<Atom> atoms(IntStream codes) {
    return codes.mapToObj(shape::atom).toList();
  }
}
