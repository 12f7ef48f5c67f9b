package io.heatkv.cache;

import java.util.Arrays;

/** One head's change for one row after a scale: which candidates stay, and in which slots. */
final class Replacement {
  private static final int NONE = -1;

  private final HeadEntries held;
  // Candidates are the entries by ascending token, then the tokens of the scale.
  private final int firstToken;
  private final int tokens;
  private final int count;
  // [candidate before the scale]: its entry
  private int[] order = {};
  private float[] attention = {};
  // Candidates, ascending
  private int[] kept = {};
  private int[] fresh = {};

  /**
   * @param firstToken number of the scale's first token
   * @param tokens of the scale
   * @param count candidates that stay
   */
  Replacement(HeadEntries held, int firstToken, int tokens, int count) {
    this.held = held;
    this.firstToken = firstToken;
    this.tokens = tokens;
    this.count = count;
  }

  /** Number of candidates. */
  int candidates() {
    return held.count() + tokens;
  }

  /**
   * Lists the candidates: their tokens, and the attention they have got with what is observed.
   *
   * @param observed of the entries, then of the scale's tokens; reordered as the candidates are
   */
  int[] list(float[] observed) {
    int before = held.count();
    order = held.order();
    attention = observed.clone();
    float[] unordered = observed.clone();
    int[] numbers = new int[candidates()];
    for (int i = 0; i < numbers.length; i++) {
      if (i < before) {
        int from = order[i];
        numbers[i] = held.tokens()[from];
        observed[i] = unordered[from];
        attention[i] = held.attention()[from] + unordered[from];
      } else {
        numbers[i] = firstToken + i - before;
      }
    }
    return numbers;
  }

  /** All attention that the candidates have got so far. */
  float[] accumulated() {
    return attention;
  }

  /** Keeps the best candidates. */
  void keepBest(double[] scores) {
    kept = best(scores, count);
  }

  /** Decides as for another row that holds the same tokens. */
  void repeat(Replacement other) {
    order = other.order;
    attention = other.attention;
    kept = other.kept;
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

  /** Gives back the slots of what is dropped. */
  void give(RowSlots slots) {
    boolean[] survives = new boolean[held.count()];
    for (int candidate : kept) {
      if (candidate < survives.length) {
        survives[order[candidate]] = true;
      }
    }
    for (int i = 0; i < survives.length; i++) {
      if (!survives[i]) {
        slots.give(held.slots()[i]);
      }
    }
  }

  /** Takes slots for the tokens of the scale that stay. */
  void take(RowSlots slots) {
    int added = 0;
    for (int candidate : kept) {
      added += candidate < held.count() ? 0 : 1;
    }
    fresh = slots.take(added);
  }

  /**
   * What the head holds afterwards.
   *
   * <p>Attention depends on its order to the last bit, so the order is the picture's own: what its
   * first row keeps comes first, by ascending token; in its other rows entries that both keep stay
   * beside these, and everything else fills the gaps.
   *
   * @param first the same head's change for the first row of the picture
   * @param scale notes the tokens that are to be stored, and their slots
   */
  HeadEntries result(Replacement first, Writes scale) {
    int[] placeOf = first.places();
    boolean[] filled = new boolean[count];
    for (int candidate : kept) {
      if (candidate < placeOf.length && placeOf[order[candidate]] != NONE) {
        filled[placeOf[order[candidate]]] = true;
      }
    }
    HeadEntries result = new HeadEntries(new int[count], new int[count], new float[count]);
    int gap = 0;
    int taken = 0;
    for (int candidate : kept) {
      boolean stored = candidate < placeOf.length;
      int from = stored ? order[candidate] : NONE;
      int place = stored ? placeOf[from] : NONE;
      if (place == NONE) {
        while (filled[gap]) {
          gap++;
        }
        place = gap++;
      }
      if (stored) {
        result.slots()[place] = held.slots()[from];
        result.tokens()[place] = held.tokens()[from];
      } else {
        int token = candidate - placeOf.length;
        scale.add(token, fresh[taken]);
        result.slots()[place] = fresh[taken++];
        result.tokens()[place] = firstToken + token;
      }
      result.attention()[place] = attention[candidate];
    }
    return result;
  }

  /** Notes a token of the scale that is to be stored in a slot. */
  interface Writes {
    void add(int token, int slot);
  }

  /** Where entries go, if they stay: first those kept, by ascending token, then the others. */
  private int[] places() {
    int[] places = new int[held.count()];
    Arrays.fill(places, NONE);
    int next = 0;
    for (int candidate : kept) {
      if (candidate < places.length) {
        places[order[candidate]] = next++;
      }
    }
    for (int i = 0; i < places.length && next < count; i++) {
      if (places[i] == NONE) {
        places[i] = next++;
      }
    }
    return places;
  }
}
