package io.heatkv.scale;

import io.heatkv.error.UserException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Grids of all scales, coarse to fine; tokens are numbered through, row by row within a scale.
 *
 * @param scales at most 64, none smaller than the one before in either direction
 */
public record ScaleGrids(List<ScaleSize> scales) {
  private static final int MAX_SCALES = 64;
  private static final int MAX_TOKENS = 1 << 20;

  /**
   * @throws UserException if there are no, too many or shrinking scales, or too many tokens
   */
  public ScaleGrids {
    scales = List.copyOf(scales);
    if (scales.isEmpty() || scales.size() > MAX_SCALES) {
      throw new UserException(
          "a list of grids has " + scales.size() + " scales; expected 1 to " + MAX_SCALES);
    }
    long tokens = 0;
    for (int t = 0; t < scales.size(); t++) {
      ScaleSize size = scales.get(t);
      tokens += size.tokens();
      if (t > 0
          && (size.height() < scales.get(t - 1).height()
              || size.width() < scales.get(t - 1).width())) {
        throw new UserException(
            "scale "
                + size
                + " is smaller than the one before, "
                + scales.get(t - 1)
                + "; expected growing grids");
      }
    }
    if (tokens > MAX_TOKENS) {
      throw new UserException(
          "a list of grids has " + tokens + " tokens; expected at most " + MAX_TOKENS);
    }
  }

  /**
   * Reads a list of rows x columns such as {@code 1x1,2x2,4x4}.
   *
   * @throws UserException if it is none
   */
  public static ScaleGrids parse(String text) {
    List<ScaleSize> sizes = new ArrayList<>();
    for (String part : text.split(",", -1)) {
      String[] edges = part.strip().split("x", -1);
      if (edges.length != 2) {
        throw wrongScale(part);
      }
      try {
        sizes.add(new ScaleSize(Integer.parseInt(edges[0]), Integer.parseInt(edges[1])));
      } catch (NumberFormatException e) {
        throw wrongScale(part);
      }
    }
    return new ScaleGrids(sizes);
  }

  private static UserException wrongScale(String part) {
    return new UserException(
        "scale '" + part + "' is not ROWSxCOLUMNS; expected a list such as 1x1,2x2,4x4");
  }

  /** Number of scales. */
  public int count() {
    return scales.size();
  }

  public ScaleSize size(int scale) {
    return scales.get(scale);
  }

  public ScaleSize last() {
    return scales.getLast();
  }

  /** Tokens of one scale. */
  public int tokens(int scale) {
    return scales.get(scale).tokens();
  }

  /** Tokens of every scale: the token map. */
  public int[] tokens() {
    return scales.stream().mapToInt(ScaleSize::tokens).toArray();
  }

  /** Number of the first token of a scale. */
  public int offset(int scale) {
    int offset = 0;
    for (int t = 0; t < scale; t++) {
      offset += tokens(t);
    }
    return offset;
  }

  /** Tokens of all scales. */
  public int totalTokens() {
    return offset(count());
  }

  /** Tokens that later scales can attend to: all scales but the last. */
  public int cachedTokens() {
    return offset(count() - 1);
  }

  /** Such as {@code 1x1,2x2,4x4}, as {@link #parse} reads it. */
  @Override
  public String toString() {
    return scales.stream().map(ScaleSize::toString).collect(Collectors.joining(","));
  }
}
