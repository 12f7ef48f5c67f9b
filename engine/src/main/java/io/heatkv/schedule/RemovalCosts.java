package io.heatkv.schedule;

import io.heatkv.error.UserException;
import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * What it costs to remove each atom, summed over prompts, as {@code RemovalProbe} measures it.
 * Immutable; sums are exact, see {@link CostSums}.
 */
public final class RemovalCosts {
  private static final int FRACTION_BITS = 30;

  /** What sums are multiples of. */
  public static final double UNIT = Math.scalb(1.0, -FRACTION_BITS);

  private final CostSums costs;

  private RemovalCosts(CostSums costs) {
    this.costs = costs;
  }

  /** Sums of no prompt. */
  public static RemovalCosts none(CalibrationSetup setup) {
    return new RemovalCosts(CostSums.none(FRACTION_BITS, setup, setup.sinkScales(), 1));
  }

  /**
   * Sums of known values, as files hold them.
   *
   * @param sums [source - sinkScales][layer][head]
   * @throws UserException if a sum is no sum of so many prompts
   */
  public static RemovalCosts of(int prompts, int sinkScales, long[][][] sums) {
    long[][][][] single =
        Arrays.stream(sums)
            .map(source -> Arrays.stream(source).map(RemovalCosts::single).toArray(long[][][]::new))
            .toArray(long[][][][]::new);
    return new RemovalCosts(
        new CostSums(FRACTION_BITS, prompts, sinkScales, single).checked("removal"));
  }

  private static long[][] single(long[] heads) {
    return Arrays.stream(heads).mapToObj(sum -> new long[] {sum}).toArray(long[][]::new);
  }

  /**
   * Adds one prompt.
   *
   * @param added [source][layer][head]; read where the source is neither a sink nor the last scale
   * @throws UserException if a cost is no number or too large
   */
  public RemovalCosts plus(double[][][] added) {
    return new RemovalCosts(costs.plus((s, l, h, _) -> added[s][l][h], _ -> "removing"));
  }

  /** Adds the prompts of another calibration of the same model and grids. */
  public RemovalCosts plus(RemovalCosts other) {
    return new RemovalCosts(costs.plus(other.costs));
  }

  /** Mean over prompts; negative where the pictures' attention would come nearer without it. */
  public double cost(int source, int layer, int head) {
    return costs.mean(source, layer, head, 0);
  }

  /** Sum in units of 2^-30, as files hold it. */
  public long sum(int source, int layer, int head) {
    return costs.sums()[source - costs.first()][layer][head][0];
  }

  /**
   * Numbers of all removable atoms, those first whose removal costs most for each token, weighed by
   * {@link CostSums#weight}; ties by source, head, layer.
   */
  int[] order(ScheduleShape shape) {
    int first = shape.firstSource() * shape.allHeads();
    int end = (shape.lastSource() + 1) * shape.allHeads();
    return IntStream.range(first, end)
        .boxed()
        .sorted(Comparator.<Integer>comparingDouble(code -> -density(shape, code)))
        .mapToInt(Integer::intValue)
        .toArray();
  }

  private double density(ScheduleShape shape, int code) {
    Atom atom = shape.atom(code);
    return cost(atom.source(), atom.layer(), atom.head())
        * CostSums.weight(shape.layers(), atom.layer())
        / shape.tokens(atom.source());
  }
}
