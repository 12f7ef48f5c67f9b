package io.heatkv.sample;

import java.util.List;
import java.util.stream.IntStream;

/** Seeds of the pictures of a batch. */
public final class ImageSeeds {
  private static final long GOLDEN = 0x9E3779B97F4A7C15L;

  private ImageSeeds() {}

  /**
   * Seed of picture {@code index}: the batch's own for the first, then SplitMix64 of seed and
   * index, never negative. It draws that picture alone.
   */
  public static long of(long seed, int index) {
    return index == 0 ? seed : mixed(seed, index);
  }

  /** SplitMix64 of seed and a number that tells a picture from others, never negative. */
  public static long mixed(long seed, long number) {
    long z = seed + number * GOLDEN;
    z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
    z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
    return (z ^ z >>> 31) & Long.MAX_VALUE;
  }

  /** Seeds of the first {@code count} pictures. */
  public static List<Long> all(long seed, int count) {
    return IntStream.range(0, count).mapToObj(i -> of(seed, i)).toList();
  }
}
