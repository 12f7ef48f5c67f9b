package io.heatkv.cache;

import io.heatkv.scale.ScaleGrids;
import java.util.Arrays;

/** What one head could keep after a scale: the tokens kept so far and all of the scale. */
public final class Candidates {
  private final ScaleGrids grids;
  private final int scale;
  private final int layer;
  private final int head;
  private final int quota;
  private final int[] tokens;

  /**
   * What a plan gives to a rule, or a test.
   *
   * @param scale the scale just attended to
   * @param quota how many of them stay
   * @param tokens numbers of the tokens over all scales, ascending; those of the scale are the last
   */
  public Candidates(ScaleGrids grids, int scale, int layer, int head, int quota, int[] tokens) {
    this.grids = grids;
    this.scale = scale;
    this.layer = layer;
    this.head = head;
    this.quota = quota;
    this.tokens = tokens;
  }

  public ScaleGrids grids() {
    return grids;
  }

  /** The scale just attended to: the source of the newest candidates. */
  public int scale() {
    return scale;
  }

  public int layer() {
    return layer;
  }

  public int head() {
    return head;
  }

  /** How many candidates stay. */
  public int quota() {
    return quota;
  }

  /** Number of candidates. */
  public int count() {
    return tokens.length;
  }

  /** Number of a candidate's token over all scales, see {@link ScaleGrids#offset}. */
  public int token(int candidate) {
    return tokens[candidate];
  }

  /** The first candidate of a source scale or a later one. */
  public int firstFrom(int source) {
    int found = Arrays.binarySearch(tokens, grids.offset(source));
    return found < 0 ? -found - 1 : found;
  }
}
