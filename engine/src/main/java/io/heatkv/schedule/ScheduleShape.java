package io.heatkv.schedule;

import io.heatkv.error.UserException;
import io.heatkv.scale.ScaleGrids;
import java.util.Arrays;

/**
 * Sizes that a pruning schedule depends on.
 *
 * <p>The reference counts neither scales between the sink scales and the first removable one nor
 * scales after the last removable one; the usual shape has no such scales.
 */
public final class ScheduleShape {
  private final int layers;
  private final int heads;
  private final int[] tokens;
  private final int sinkScales;
  private final int firstSource;
  private final int lastSource;

  /**
   * @param layers self-attention layers
   * @param heads heads of a layer
   * @param tokens of every scale
   * @param sinkScales first scales, never removed (P)
   * @param firstSource first removable scale (a), not below {@code sinkScales}
   * @param lastSource last removable scale (e), at most the last but one
   * @throws UserException if the sizes contradict each other or need more than 2^31 - 1 slots
   */
  public ScheduleShape(
      int layers, int heads, int[] tokens, int sinkScales, int firstSource, int lastSource) {
    this.layers = layers;
    this.heads = heads;
    this.tokens = tokens.clone();
    this.sinkScales = sinkScales;
    this.firstSource = firstSource;
    this.lastSource = lastSource;
    if (layers < 1 || heads < 1 || (long) layers * heads > 1 << 20) {
      throw new UserException(
          layers + " layers of " + heads + " heads are out of range; expected 1 to 2^20 heads");
    }
    if (Arrays.stream(tokens).anyMatch(count -> count < 1)) {
      throw new UserException(
          "token map " + Arrays.toString(tokens) + " has an empty scale; expected 1 token or more");
    }
    if (sinkScales < 0 || sinkScales > tokens.length - 2) {
      throw new UserException(
          "sink scales "
              + sinkScales
              + " leave nothing to remove from "
              + tokens.length
              + " scales; expected 0 to the number of scales - 2");
    }
    if (firstSource < sinkScales || lastSource < firstSource || lastSource > tokens.length - 2) {
      throw new UserException(
          "removable scales "
              + firstSource
              + " to "
              + lastSource
              + " are out of range; expected a range from "
              + sinkScales
              + " to "
              + (tokens.length - 2));
    }
    if (allHeads() * Arrays.stream(tokens).asLongStream().sum() > Integer.MAX_VALUE) {
      throw new UserException(
          "the full cache of "
              + allHeads()
              + " heads has more than 2^31 - 1 entries; use smaller grids");
    }
  }

  /** All scales between the sink scales and the last one are removable, as the paper has it. */
  public static ScheduleShape of(int layers, int heads, ScaleGrids grids, int sinkScales) {
    return new ScheduleShape(
        layers, heads, grids.tokens(), sinkScales, sinkScales, grids.count() - 2);
  }

  public int layers() {
    return layers;
  }

  /** Heads of one layer. */
  public int heads() {
    return heads;
  }

  /** Number of scales. */
  public int scales() {
    return tokens.length;
  }

  /** Tokens of one scale. */
  public int tokens(int scale) {
    return tokens[scale];
  }

  public int sinkScales() {
    return sinkScales;
  }

  public int firstSource() {
    return firstSource;
  }

  public int lastSource() {
    return lastSource;
  }

  /** Heads of all layers. */
  public int allHeads() {
    return layers * heads;
  }

  /** Tokens of the scales before one: what a head holds when that scale begins. */
  public long tokensBefore(int scale) {
    long before = 0;
    for (int i = 0; i < scale; i++) {
      before += tokens[i];
    }
    return before;
  }

  /** Tokens that a head of the full cache holds: all scales but the last. */
  public long fullTokens() {
    return tokensBefore(scales() - 1);
  }

  /** Whether atoms of this scale can be removed. */
  boolean isRemovable(int scale) {
    return scale >= firstSource && scale <= lastSource;
  }

  /** Number of an atom; numbers sort as atoms do. */
  int code(int source, int head, int layer) {
    return (source * heads + head) * layers + layer;
  }

  int source(int code) {
    return code / allHeads();
  }

  int layer(int code) {
    return code % layers;
  }

  Atom atom(int code) {
    return new Atom(source(code), code / layers % heads, layer(code));
  }
}
