package io.heatkv.schedule;

import io.heatkv.error.UserException;
import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * What it costs to remove each atom, summed over prompts, as {@code RemovalProbe} measures it.
 * Immutable; like {@link HeadScores} kept as whole multiples of a power of two, so that sums are
 * exact in any order.
 */
public final class RemovalCosts {
  private static final int FRACTION_BITS = 30;

  /** What sums are multiples of. */
  public static final double UNIT = Math.scalb(1.0, -FRACTION_BITS);

  // Sums of 100,000 prompts fit 64 bits.
  private static final double MOST = 1 << 16;

  private final int prompts;
  private final int sinkScales;
  // [source - sinkScales][layer][head]
  private final long[][][] sums;

  private RemovalCosts(int prompts, int sinkScales, long[][][] sums) {
    this.prompts = prompts;
    this.sinkScales = sinkScales;
    this.sums = sums;
  }

  /** Sums of no prompt. */
  public static RemovalCosts none(CalibrationSetup setup) {
    int sources = setup.schedule().count() - 1 - setup.sinkScales();
    return new RemovalCosts(
        0, setup.sinkScales(), new long[sources][setup.layers()][setup.heads()]);
  }

  /**
   * Sums of known values, as files hold them.
   *
   * @param sums [source - sinkScales][layer][head]
   * @throws UserException if a sum is no sum of so many prompts
   */
  public static RemovalCosts of(int prompts, int sinkScales, long[][][] sums) {
    for (long[][] source : sums) {
      for (long[] layer : source) {
        for (long sum : layer) {
          if (Math.abs((double) sum) > Math.scalb(MOST * prompts, FRACTION_BITS)) {
            throw new UserException(
                "removal costs have the sum %d, which is impossible for %d prompts; calibrate again"
                    .formatted(sum, prompts));
          }
        }
      }
    }
    return new RemovalCosts(prompts, sinkScales, sums);
  }

  /**
   * Adds one prompt.
   *
   * @param costs [source][layer][head]; read where the source is neither a sink nor the last scale
   * @throws UserException if a cost is no number or too large
   */
  public RemovalCosts plus(double[][][] costs) {
    long[][][] added = copy();
    for (int i = 0; i < added.length; i++) {
      for (int l = 0; l < added[i].length; l++) {
        for (int h = 0; h < added[i][l].length; h++) {
          double cost = costs[sinkScales + i][l][h];
          if (!(Math.abs(cost) <= MOST)) {
            throw new UserException(
                "removing scale %d in layer %d, head %d costs %s; expected at most %s, check the"
                        .formatted(sinkScales + i, l, h, cost, MOST)
                    + " model's weights");
          }
          added[i][l][h] += (long) Math.rint(Math.scalb(cost, FRACTION_BITS));
        }
      }
    }
    return new RemovalCosts(prompts + 1, sinkScales, added);
  }

  /** Adds the prompts of another calibration of the same model and scale schedule. */
  public RemovalCosts plus(RemovalCosts other) {
    long[][][] added = copy();
    for (int i = 0; i < added.length; i++) {
      for (int l = 0; l < added[i].length; l++) {
        for (int h = 0; h < added[i][l].length; h++) {
          added[i][l][h] += other.sums[i][l][h];
        }
      }
    }
    return new RemovalCosts(prompts + other.prompts, sinkScales, added);
  }

  private long[][][] copy() {
    return Arrays.stream(sums)
        .map(source -> Arrays.stream(source).map(long[]::clone).toArray(long[][]::new))
        .toArray(long[][][]::new);
  }

  /** Mean over prompts; negative where the pictures' attention would come nearer without it. */
  public double cost(int source, int layer, int head) {
    return Math.scalb((double) sum(source, layer, head), -FRACTION_BITS) / prompts;
  }

  /** Sum in units of 2^-30, as files hold it. */
  public long sum(int source, int layer, int head) {
    return sums[source - sinkScales][layer][head];
  }

  /**
   * Numbers of all removable atoms, those first whose removal costs most for each token; ties by
   * source, head, layer. Later layers compute with the error, and so much amplify it: a cost counts
   * by the cube root of the number of layers from its own on.
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
        * Math.cbrt(shape.layers() - atom.layer())
        / shape.tokens(atom.source());
  }
}
