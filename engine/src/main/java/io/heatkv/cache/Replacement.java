package io.heatkv.cache;

import java.util.Arrays;

/** One head's change after a scale: which candidates stay, and into which slots they go. */
final class Replacement {
  private static final int NONE = -1;

  private final HeadEntries entry;
  // Candidates are the entries by ascending token, then the tokens of the scale.
  private final int firstToken;
  private final int tokens;
  private final int count;
  // [row][candidate before the scale]: its entry
  private final int[][] order;
  private final float[][] attention;
  // [row][kept]: candidates, ascending
  private final int[][] kept;
  private int[] stayingEntries = new int[0];
  private int[] slots = new int[0];
  // [entry before the scale]: its place in slots
  private int[] placeOf = new int[0];
  private final int[][] newTokens;
  private final float[][] newAttention;

  /**
   * @param firstToken number of the scale's first token
   * @param tokens of the scale
   * @param count candidates that stay
   */
  Replacement(HeadEntries entry, int firstToken, int tokens, int count, int rows) {
    this.entry = entry;
    this.firstToken = firstToken;
    this.tokens = tokens;
    this.count = count;
    order = new int[rows][];
    attention = new float[rows][];
    kept = new int[rows][];
    newTokens = new int[rows][];
    newAttention = new float[rows][];
  }

  /** Number of candidates. */
  int candidates() {
    return entry.count() + tokens;
  }

  /**
   * Lists a row's candidates: their tokens, and the attention they have got with what is observed.
   *
   * @param observed of the entries, then of the scale's tokens; reordered as the candidates are
   */
  int[] list(int row, float[] observed) {
    int held = entry.count();
    order[row] = entry.order(row);
    attention[row] = observed.clone();
    float[] unordered = observed.clone();
    int[] numbers = new int[candidates()];
    for (int i = 0; i < numbers.length; i++) {
      if (i < held) {
        int from = order[row][i];
        numbers[i] = entry.token(row, from);
        observed[i] = unordered[from];
        attention[row][i] = entry.attention(row, from) + unordered[from];
      } else {
        numbers[i] = firstToken + i - held;
      }
    }
    return numbers;
  }

  /** All attention that the row's candidates have got so far. */
  float[] accumulated(int row) {
    return attention[row];
  }

  /** Keeps the best candidates of a row. */
  void keepBest(int row, double[] scores) {
    kept[row] = best(scores, count);
  }

  /** Decides for a row as for the first one. */
  void repeatFirst(int row) {
    order[row] = order[0];
    attention[row] = attention[0];
    kept[row] = kept[0];
  }

  /**
   * The indices of the highest scores, ascending; of equal scores the later ones.
   *
   * @throws IllegalArgumentException if there are fewer
   */
  static int[] best(double[] scores, int count) {
    double[] sorted = scores.clone();
    Arrays.sort(sorted);
    int[] chosen = new int[count];
    if (count == 0) {
      return chosen;
    }
    double least = sorted[sorted.length - count];
    int above = 0;
    for (double score : scores) {
      above += Double.compare(score, least) > 0 ? 1 : 0;
    }
    int equal = count - above;
    int next = count;
    for (int i = scores.length - 1; i >= 0; i--) {
      int order = Double.compare(scores[i], least);
      if (order > 0 || (order == 0 && equal-- > 0)) {
        chosen[--next] = i;
      }
    }
    return chosen;
  }

  /** Gives back the slots that the head no longer needs. */
  void give(SlotArena arena) {
    int held = entry.count();
    int staying = Math.min(count, held);
    // Slots of what the first row keeps stay, so that it moves nothing.
    int[] entries = new int[held];
    int next = 0;
    boolean[] survives = new boolean[held];
    for (int candidate : kept[0]) {
      if (candidate < held) {
        survives[order[0][candidate]] = true;
        entries[next++] = order[0][candidate];
      }
    }
    for (int i = 0; i < held; i++) {
      if (!survives[i]) {
        entries[next++] = i;
      }
    }
    stayingEntries = Arrays.copyOf(entries, staying);
    for (int i = staying; i < held; i++) {
      arena.give(entry.slots()[entries[i]]);
    }
  }

  /** Takes the slots that the head needs more. */
  void take(SlotArena arena) {
    int[] old = entry.slots();
    placeOf = new int[old.length];
    Arrays.fill(placeOf, NONE);
    slots = new int[count];
    for (int p = 0; p < stayingEntries.length; p++) {
      slots[p] = old[stayingEntries[p]];
      placeOf[stayingEntries[p]] = p;
    }
    int[] more = arena.take(count - stayingEntries.length);
    System.arraycopy(more, 0, slots, stayingEntries.length, more.length);
  }

  /** Finds a row's place for every candidate that stays; what is to be written goes there. */
  void place(int row, SlotArena arena, SlotWrites.Row writes) {
    int[] old = entry.slots();
    newTokens[row] = new int[count];
    newAttention[row] = new float[count];
    boolean[] filled = new boolean[count];
    for (int candidate : kept[row]) {
      if (candidate < old.length && placeOf[order[row][candidate]] != NONE) {
        filled[placeOf[order[row][candidate]]] = true;
      }
    }
    int free = 0;
    for (int candidate : kept[row]) {
      boolean stored = candidate < old.length;
      int from = stored ? order[row][candidate] : NONE;
      int place = stored ? placeOf[from] : NONE;
      if (place == NONE) {
        while (filled[free]) {
          free++;
        }
        place = free++;
        if (stored) {
          writes.move(arena.place(row, old[from]), arena.place(row, slots[place]));
        } else {
          writes.add(candidate - old.length, arena.place(row, slots[place]));
        }
      }
      newTokens[row][place] = stored ? entry.token(row, from) : firstToken + candidate - old.length;
      newAttention[row][place] = attention[row][candidate];
    }
  }

  /** Makes the change the head's state, once all rows have their places. */
  void commit() {
    entry.set(slots, newTokens, newAttention);
  }
}
