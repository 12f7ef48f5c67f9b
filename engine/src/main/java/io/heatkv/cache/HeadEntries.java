package io.heatkv.cache;

import java.util.Arrays;

/**
 * What one head of one layer holds. All rows of the batch have the same slots, but may have other
 * tokens in them: scores are a row's own.
 */
final class HeadEntries {
  private int[] slots = new int[0];
  // [row][i]: number of the token in slots[i], and the attention that it has got so far
  private final int[][] tokens;
  private final float[][] attention;

  HeadEntries(int rows) {
    tokens = new int[rows][0];
    attention = new float[rows][0];
  }

  int count() {
    return slots.length;
  }

  int[] slots() {
    return slots;
  }

  /** The row's tokens, ascending. */
  int[] tokens(int row) {
    int[] sorted = tokens[row].clone();
    Arrays.sort(sorted);
    return sorted;
  }

  /** Entries by ascending token. */
  int[] order(int row) {
    long[] keys = new long[slots.length];
    for (int i = 0; i < keys.length; i++) {
      keys[i] = (long) tokens[row][i] << 32 | i;
    }
    Arrays.sort(keys);
    int[] order = new int[keys.length];
    for (int i = 0; i < keys.length; i++) {
      order[i] = (int) keys[i];
    }
    return order;
  }

  int token(int row, int entry) {
    return tokens[row][entry];
  }

  float attention(int row, int entry) {
    return attention[row][entry];
  }

  /** Replaces everything: the slots, and what lies in them in each row. */
  void set(int[] newSlots, int[][] newTokens, float[][] newAttention) {
    slots = newSlots;
    for (int row = 0; row < tokens.length; row++) {
      tokens[row] = newTokens[row];
      attention[row] = newAttention[row];
    }
  }
}
