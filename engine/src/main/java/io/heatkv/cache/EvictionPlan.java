package io.heatkv.cache;

import io.heatkv.scale.ScaleGrids;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.IntStream;

/**
 * What is known of a rule before the first scale, the same for all rows: how many tokens every head
 * holds when, in which slots, and, of a {@link PositionRule}, which.
 *
 * <p>A head's tokens lie in slots of its own, and other tokens take the places of those that are
 * dropped; slots change hands only where heads change how many tokens they hold.
 */
final class EvictionPlan {
  private static final Run NONE = new Run(0, 0);

  private final EvictionRule rule;
  private final KvShape shape;
  private final ScaleGrids grids;
  // [layer]
  private final List<List<Group>> groups = new ArrayList<>();
  // [scale * layers + layer]
  private final List<Step> steps = new ArrayList<>();
  // [scale]
  private final List<Run> windows = new ArrayList<>();
  private final List<Run> flags = new ArrayList<>();
  private long[] numbers = new long[1024];
  private int used;
  private boolean chosen;

  /** A run of {@link #numbers}. */
  record Run(int start, int count) {}

  /**
   * Heads of a layer, of one kind, that hold equally many tokens after every scale.
   *
   * @param heads ascending
   * @param numbers of them
   * @param counts tokens that one holds after each scale but the last
   */
  record Group(List<Integer> heads, Run numbers, List<Integer> counts) {
    /** Tokens that a head holds before a scale. */
    int held(int scale) {
      return scale == 0 ? 0 : counts.get(scale - 1);
    }
  }

  /**
   * What a layer does at a scale.
   *
   * @param held slots of all heads, head after head
   * @param lengths tokens held of each head
   * @param changes of its groups, none at the last scale
   */
  record Step(Run held, List<Integer> lengths, List<Change> changes) {}

  /**
   * What becomes of a group's tokens and of the scale's.
   *
   * @param drops whether not all of them stay
   * @param held slots before
   * @param slots of all that is held afterwards; of the scale's tokens alone, if all stay
   * @param entries of a position rule that drops: see {@link KvStore#replace}
   */
  record Change(Group group, boolean drops, Run held, Run slots, Run entries) {}

  /**
   * @param capacity slots
   */
  EvictionPlan(EvictionRule rule, KvShape shape, Quotas quotas, int capacity) {
    this.rule = rule;
    this.shape = shape;
    grids = shape.grids();
    for (int l = 0; l < shape.layers(); l++) {
      groups.add(groups(quotas, l));
    }
    handOut(new FreeSlots(capacity));
    if (rule instanceof AttentionRule observing) {
      observe(observing);
    }
  }

  private List<Group> groups(Quotas quotas, int layer) {
    record Alike(int kind, List<Integer> counts) {}
    Map<Alike, List<Integer>> found = new LinkedHashMap<>();
    for (int h = 0; h < shape.heads(); h++) {
      int head = h;
      int kind = rule instanceof AttentionRule observing ? observing.kind(layer, h) : 0;
      List<Integer> counts =
          IntStream.range(0, grids.count() - 1)
              .mapToObj(t -> quotas.count(t, layer, head))
              .toList();
      found.computeIfAbsent(new Alike(kind, counts), _ -> new ArrayList<>()).add(head);
    }
    List<Group> result = new ArrayList<>();
    found.forEach((alike, heads) ->
        result.add(
            new Group(List.copyOf(heads), add(heads.stream().mapToInt(h -> h)), alike.counts)));
    return result;
  }

  private void handOut(FreeSlots free) {
    // [layer][head]
    int[][][] slots = new int[shape.layers()][shape.heads()][0];
    // [layer], and of each of its groups
    Run[] held = new Run[shape.layers()];
    Run[][] heldBy = new Run[shape.layers()][];
    for (int l = 0; l < held.length; l++) {
      held[l] = NONE;
      heldBy[l] = new Run[groups.get(l).size()];
      Arrays.fill(heldBy[l], NONE);
    }
    for (int t = 0; t < grids.count(); t++) {
      for (int l = 0; l < held.length; l++) {
        List<Integer> lengths = Arrays.stream(slots[l]).map(head -> head.length).toList();
        List<Change> changes = new ArrayList<>();
        steps.add(new Step(held[l], lengths, changes));
        if (t == grids.count() - 1) {
          continue;
        }
        boolean changed = hold(free, slots[l], t, l);
        for (int g = 0; g < heldBy[l].length; g++) {
          Group group = groups.get(l).get(g);
          Run before = heldBy[l][g];
          if (group.counts.get(t) != group.held(t)) {
            heldBy[l][g] = add(slots(slots[l], group, 0));
          }
          changes.add(change(group, t, before, heldBy[l][g], slots[l]));
        }
        if (heldBy[l].length == 1) {
          held[l] = heldBy[l][0];
        } else if (changed) {
          held[l] = add(Arrays.stream(slots[l]).flatMapToInt(Arrays::stream));
        }
      }
    }
  }

  /** Gives a layer's heads as many slots as they need after a scale; tells whether that is new. */
  private boolean hold(FreeSlots free, int[][] slots, int scale, int layer) {
    int[] counts = new int[slots.length];
    for (Group group : groups.get(layer)) {
      group.heads.forEach(h -> counts[h] = group.counts.get(scale));
    }
    boolean changed = false;
    // All heads give before one takes, so that nothing but the budget bounds them.
    for (int h = 0; h < slots.length; h++) {
      changed |= counts[h] != slots[h].length;
      for (int i = slots[h].length - 1; i >= counts[h]; i--) {
        free.give(slots[h][i]);
      }
    }
    for (int h = 0; h < slots.length; h++) {
      int kept = Math.min(counts[h], slots[h].length);
      slots[h] = Arrays.copyOf(slots[h], counts[h]);
      System.arraycopy(free.take(counts[h] - kept), 0, slots[h], kept, counts[h] - kept);
    }
    return changed;
  }

  private Change change(Group group, int scale, Run before, Run after, int[][] slots) {
    int count = group.counts.get(scale);
    if (count == group.held(scale) + grids.tokens(scale)) {
      return new Change(group, false, before, add(slots(slots, group, group.held(scale))), NONE);
    }
    Run entries = rule instanceof PositionRule ? room(count * group.heads.size()) : NONE;
    return new Change(group, true, before, after, entries);
  }

  private static IntStream slots(int[][] slots, Group group, int from) {
    return group.heads.stream().flatMapToInt(h -> Arrays.stream(slots[h]).skip(from));
  }

  private void observe(AttentionRule observing) {
    for (int t = 0; t < grids.count() - 1; t++) {
      int[] window = observing.window(grids.size(t));
      windows.add(add(Arrays.stream(window)));
      int[] observed = new int[grids.offset(t + 1)];
      for (int token : window) {
        observed[grids.offset(t) + token] = 1;
      }
      flags.add(add(Arrays.stream(observed)));
    }
  }

  private Run room(int count) {
    int start = used;
    used = Math.addExact(used, count);
    if (used > numbers.length) {
      numbers = Arrays.copyOf(numbers, Math.max(2 * numbers.length, used));
    }
    return new Run(start, count);
  }

  private Run add(IntStream values) {
    int[] each = values.toArray();
    Run run = room(each.length);
    for (int i = 0; i < each.length; i++) {
      numbers[run.start + i] = each[i];
    }
    return run;
  }

  EvictionRule rule() {
    return rule;
  }

  /** What a layer does at a scale. */
  Step step(int scale, int layer) {
    return steps.get(scale * shape.layers() + layer);
  }

  /** All steps, layer after layer of every scale. */
  List<Step> steps() {
    return steps;
  }

  /** Numbers of the queries of a scale that are observed. */
  Run window(int scale) {
    return windows.get(scale);
  }

  /** 1 for each observed token of all tokens up to a scale, else 0. */
  Run flags(int scale) {
    return flags.get(scale);
  }

  /** Flags of all scales. */
  int flags() {
    return flags.stream().mapToInt(Run::count).sum();
  }

  /** Groups of all layers. */
  List<Group> groups() {
    return groups.stream().flatMap(List::stream).toList();
  }

  /** How many {@link #numbers} there are. */
  int count() {
    return used;
  }

  /**
   * Slots, heads, windows and what a position rule chooses, which it is asked at the first call.
   */
  synchronized long[] numbers() {
    if (!chosen) {
      if (rule instanceof PositionRule positions) {
        choose(positions);
      }
      numbers = Arrays.copyOf(numbers, used);
      chosen = true;
    }
    return numbers;
  }

  private void choose(PositionRule positions) {
    // A stream would wrap it in another of its kind.
    Queue<RuntimeException> failures = new ConcurrentLinkedQueue<>();
    IntStream.range(0, shape.layers() * shape.heads())
        .parallel()
        .forEach(i -> {
          try {
            choose(positions, i / shape.heads(), i % shape.heads());
          } catch (RuntimeException e) {
            failures.add(e);
          }
        });
    if (!failures.isEmpty()) {
      throw failures.remove();
    }
  }

  private void choose(PositionRule positions, int layer, int head) {
    int[] held = {};
    for (int t = 0; t < grids.count() - 1; t++) {
      Change change = change(t, layer, head);
      int[] tokens = candidates(held, t);
      int quota = change.group.counts.get(t);
      if (change.drops) {
        Candidates all = new Candidates(grids, t, layer, head, quota, tokens);
        double[] scores = positions.scores(all);
        if (scores.length != tokens.length) {
          throw new IllegalArgumentException(
              "%d scores for %d candidates".formatted(scores.length, tokens.length));
        }
        int[] kept = best(scores, quota);
        int place = change.group.heads.indexOf(head);
        for (int i = 0; i < quota; i++) {
          numbers[change.entries.start + place * quota + i] =
              place * (long) tokens.length + kept[i];
        }
      }
      held = held(change, tokens, head);
    }
  }

  private Change change(int scale, int layer, int head) {
    return step(scale, layer).changes.stream()
        .filter(change -> change.group.heads.contains(head))
        .findFirst()
        .orElseThrow();
  }

  /** The tokens held, then all of a scale. */
  private int[] candidates(int[] held, int scale) {
    int[] all = Arrays.copyOf(held, held.length + grids.tokens(scale));
    for (int i = held.length; i < all.length; i++) {
      all[i] = grids.offset(scale) + i - held.length;
    }
    return all;
  }

  /** Which candidates a position rule has chosen for a head. */
  private int[] held(Change change, int[] candidates, int head) {
    if (!change.drops) {
      return candidates;
    }
    int place = change.group.heads.indexOf(head);
    int quota = change.entries.count / change.group.heads.size();
    return IntStream.range(0, quota)
        .map(i ->
            candidates[
                (int)
                    (numbers[change.entries.start + place * quota + i]
                        - place * (long) candidates.length)])
        .toArray();
  }

  /** Tokens that a head holds after a scale by a position rule, ascending. */
  int[] tokens(int scale, int layer, int head) {
    int[] held = {};
    for (int t = 0; t <= scale; t++) {
      held = held(change(t, layer, head), candidates(held, t), head);
    }
    return held;
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
}
