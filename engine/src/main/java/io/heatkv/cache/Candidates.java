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
  private final float[] attention;
  private final float[] accumulated;

  /**
   * What a cache gives to a rule, or a test.
   *
   * @param scale the scale just attended to
   * @param quota how many of them stay
   * @param tokens numbers of the tokens over all scales, ascending; those of the scale are the last
   * @param attention sum over the observed queries of the softmax probabilities of each
   * @param accumulated the same, summed over this scale and those before since the token is there
   * @throws IllegalArgumentException if there isn't an attention of each token
   */
  public Candidates(
      ScaleGrids grids,
      int scale,
      int layer,
      int head,
      int quota,
      int[] tokens,
      float[] attention,
      float[] accumulated) {
    if (attention.length != tokens.length || accumulated.length != tokens.length) {
      throw new IllegalArgumentException(
          "attention of %d and %d tokens for %d candidates"
              .formatted(attention.length, accumulated.length, tokens.length));
    }
    this.grids = grids;
    this.scale = scale;
    this.layer = layer;
    this.head = head;
    this.quota = quota;
    this.tokens = tokens;
    this.attention = attention;
    this.accumulated = accumulated;
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

  /**
   * Attention that the observed queries paid to a candidate, summed over them; 0 without a window.
   */
  public double attention(int candidate) {
    return attention[candidate];
  }

  /** {@link #attention} summed over this scale and the earlier ones that have seen the token. */
  public double accumulated(int candidate) {
    return accumulated[candidate];
  }
}
