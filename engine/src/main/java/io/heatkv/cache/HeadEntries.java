package io.heatkv.cache;

import java.util.Arrays;

/**
 * What one head of one layer holds for one row, in the order in which attention reads it.
 *
 * @param slots where entries are
 * @param tokens number of the token in each
 * @param attention that each has got so far
 */
record HeadEntries(int[] slots, int[] tokens, float[] attention) {
  static final HeadEntries NONE = new HeadEntries(new int[0], new int[0], new float[0]);

  int count() {
    return slots.length;
  }

  /** Numbers of the tokens, ascending. */
  int[] sortedTokens() {
    int[] sorted = tokens.clone();
    Arrays.sort(sorted);
    return sorted;
  }

  /** Entries by ascending token. */
  int[] order() {
    long[] keys = new long[slots.length];
    for (int i = 0; i < keys.length; i++) {
      keys[i] = (long) tokens[i] << 32 | i;
    }
    Arrays.sort(keys);
    int[] order = new int[keys.length];
    for (int i = 0; i < keys.length; i++) {
      order[i] = (int) keys[i];
    }
    return order;
  }
}
