package io.heatkv.schedule;

import io.heatkv.error.UserException;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * The levels that atoms may have, besides being dropped.
 *
 * @param levels in the order of {@link Level#ALL}, at least one
 * @param text as users write it
 */
public record LevelSet(List<Level> levels, String text) {
  private static final String POOLED = "pooled";

  /** All resolutions and precisions. */
  public static final LevelSet ALL = new LevelSet(Level.ALL, "16,8,k8v4,4," + POOLED);

  public LevelSet {
    levels = List.copyOf(levels);
  }

  /**
   * Reads a list such as {@code 8,4}: precisions, and {@code pooled} for all resolutions of them,
   * which alone means 16 bits.
   *
   * @throws UserException if a word is none of these
   */
  public static LevelSet parse(String text) {
    Set<Precision> precisions = EnumSet.noneOf(Precision.class);
    boolean pooled = false;
    for (String word : text.strip().split("\\s*,\\s*", -1)) {
      if (word.equals(POOLED)) {
        pooled = true;
      } else {
        precisions.add(precision(word));
      }
    }
    if (precisions.isEmpty()) {
      precisions.add(Precision.FLOAT16);
    }
    int most = pooled ? Integer.MAX_VALUE : 1;
    List<Level> levels =
        Level.ALL.stream()
            .filter(level -> precisions.contains(level.precision()) && level.pool() <= most)
            .toList();
    String names = precisions.stream().map(Precision::toString).collect(Collectors.joining(","));
    return new LevelSet(levels, pooled ? names + "," + POOLED : names);
  }

  private static Precision precision(String word) {
    return Arrays.stream(Precision.values())
        .filter(precision -> precision.toString().equals(word))
        .findFirst()
        .orElseThrow(() ->
            new UserException(
                "level '%s' is unknown; expected a list of 16, 8, k8v4, 4 and pooled, such as 8,4"
                    .formatted(word.replaceAll("\\p{Cntrl}", "?"))));
  }

  @Override
  public String toString() {
    return text;
  }
}
